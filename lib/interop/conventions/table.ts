/** The conventions by name. */
import type { Convention } from './convention.ts'
import { type FlaxParameters, flax } from './flax.ts'
import { type KerasParameters, keras } from './keras.ts'
import { type MlxParameters, mlx } from './mlx.ts'
import { type MxNetParameters, mxNet } from './mxnet.ts'
import { type OneDnnParameters, oneDnn } from './onednn.ts'
import { type OnnxParameters, onnx } from './onnx.ts'
import { type TfFusedParameters, tfFused } from './tf-fused.ts'
import type { ConventionValues, Vector } from './values.ts'

/** The parameters of a batch norm, as each framework calls them; `Each` is what one number a channel comes in. */
export interface Conventions<Each = ConventionValues> {
  /**
   * `tf.keras.layers.BatchNormalization`, also of its `get_config()`.
   * https://keras.io/api/layers/normalization_layers/batch_normalization/
   */
  keras: KerasParameters<Each>
  /**
   * `FusedBatchNormV3` of TensorFlow.
   * https://www.tensorflow.org/api_docs/python/tf/raw_ops/FusedBatchNormV3
   */
  'tf-fused': TfFusedParameters<Each>
  /**
   * `flax.linen.BatchNorm`.
   * https://flax-linen.readthedocs.io/en/latest/api_reference/flax.linen/layers.html#flax.linen.BatchNorm
   */
  flax: FlaxParameters<Each>
  /**
   * `mlx.nn.BatchNorm`.
   * https://ml-explore.github.io/mlx/build/html/python/nn/_autosummary/mlx.nn.BatchNorm.html
   */
  mlx: MlxParameters<Each>
  /**
   * `BatchNormalization` of ONNX.
   * https://onnx.ai/onnx/operators/onnx__BatchNormalization.html
   */
  onnx: OnnxParameters<Each>
  /**
   * The batch normalization primitive of oneDNN.
   * https://uxlfoundation.github.io/oneDNN/dev_guide_batch_normalization.html
   */
  onednn: OneDnnParameters<Each>
  /**
   * `BatchNorm` of MXNet.
   * https://mxnet.apache.org/versions/1.9.1/api/python/docs/api/symbol/symbol.html#mxnet.symbol.BatchNorm
   */
  mxnet: MxNetParameters<Each>
}

/** The conventions of other frameworks, by name. */
export type ConventionName = keyof Conventions

export const conventions: {
  readonly [Name in ConventionName]: Convention<Conventions[Name], Conventions<Vector>[Name]>
} = { keras, 'tf-fused': tfFused, flax, mlx, onnx, onednn: oneDnn, mxnet: mxNet }

export const conventionNames = Object.keys(conventions) as ConventionName[]
