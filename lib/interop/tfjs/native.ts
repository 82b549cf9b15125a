import { serialization } from '@tensorflow/tfjs-core'
import { boolean } from '../../checks/scalars.ts'
import { BatchNormalization, Keras } from './layer.ts'

/** The layer under the name that tf.layers and Keras write, and under which it is saved again. */
class NativeBatchNormalization extends BatchNormalization {
  static override className = 'BatchNormalization'
}

/**
 * Makes `tf.loadLayersModel` build this library's layer wherever a `model.json` says `BatchNormalization`: models
 * that were converted from Keras, and those that tf.layers saved. They are saved under the same name.
 *
 * @param use - `false` gives the name back to tf.layers' own layer
 *
 * @example
 * useNativeBatchNormalization()
 * const model = await tf.loadLayersModel('file://model.json')
 */
export function useNativeBatchNormalization(use = true): void {
  serialization.registerClass(boolean('use', use) ? NativeBatchNormalization : Keras)
}
