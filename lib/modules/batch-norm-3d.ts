import { positiveInteger } from '../checks/scalars.ts'
import type { ParameterType } from '../tensor/data-type.ts'
import { BatchNorm } from './batch-norm.ts'
import type { BatchNormOptions } from './options.ts'

export const positions3d = [['D', 'H', 'W']]

/**
 * Batch normalization of `[N, C, D, H, W]`; with `layout: 'channels-last'` of `[N, D, H, W, C]`. N is
 * the samples, C = numFeatures the channels, D, H and W the depth, height and width.
 *
 * ```ts
 * const bn = new BatchNorm3d(32)
 * const y = bn.forward(tensor(data, [4, 32, 8, 28, 28]))
 * ```
 *
 * https://pytorch.org/docs/stable/generated/torch.nn.BatchNorm3d.html
 */
export class BatchNorm3d<
  Type extends ParameterType = 'float32',
  Scale extends boolean = true,
  Center extends boolean = true,
  RunningStats extends boolean = true,
> extends BatchNorm<Type, Scale, Center, RunningStats> {
  constructor(numFeatures: number, options: BatchNormOptions<Type, Scale, Center, RunningStats> = {}) {
    super(positiveInteger('numFeatures', numFeatures), options, positions3d)
  }
}
