import type { BatchNorm, Layer, TensorLike } from '../../../lib/index.ts'
import { collapse, linearity, saturation } from '../../../lib/index.ts'

/** What batch norm does without an activation, and what it does for one; x and z are two batches. */
export function examine(stack: (Layer | BatchNorm)[], batchNorm: BatchNorm, x: TensorLike, z: TensorLike) {
  const { layer } = collapse(stack) // Linear, batch norm, Linear, ... as one Linear
  const training = linearity(batchNorm.train(), x, z) // the samples of a batch move one another
  const evaluation = linearity(batchNorm.eval(), x, z) // affine, up to rounding
  const tanh = saturation('tanh', x) // the parts of tanh that are in use, before and after
  return { layer, training, evaluation, tanh }
}
