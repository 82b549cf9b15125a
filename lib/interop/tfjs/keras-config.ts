import type { serialization } from '@tensorflow/tfjs-core'
import { invalidValue } from '../../checks/errors.ts'
import type { BatchNormalizationArgs } from './arguments.ts'

/** What Keras writes beside the arguments of tf.layers, and which changes nothing here. */
const harmless = [
  // It is about several replicas; here is one.
  'synchronized',
  'fused',
  'renormClipping',
  'renormMomentum',
  'buildConfig',
  'module',
  'registeredName',
  // Added by TensorFlow.js while it reads.
  'customObjects',
]

/** What would change the results, and which this layer does not have. */
const absent = ['renorm', 'virtualBatchSize', 'adjustment', 'activityRegularizer']

/**
 * The arguments in a layer's configuration, as `getConfig()` of this layer writes it or, with names in camel
 * case, Keras 2 and 3. Whatever floating-point type Keras had computed in, this layer computes in float32.
 *
 * @throws RangeError for what this layer does not have, such as `renorm: true`
 */
export function argumentsOf(config: serialization.ConfigDict): BatchNormalizationArgs {
  const args: Record<string, unknown> = { ...config }
  for (const name of harmless) delete args[name]
  for (const name of absent) {
    const value = args[name] ?? false
    if (value !== false) throw invalidValue(name, 'off: this layer does not have it,', value)
    delete args[name]
  }
  if (isFloat(config.dtype)) args.dtype = 'float32'
  return args
}

/** Keras 3 writes a policy, `{ className, config: { name } }`, in place of a name. */
function isFloat(dtype: unknown): boolean {
  const name = (dtype as { config?: { name?: unknown } } | null | undefined)?.config?.name ?? dtype
  return typeof name === 'string' && /^(mixed_?)?b?float(16|32|64)$/i.test(name)
}
