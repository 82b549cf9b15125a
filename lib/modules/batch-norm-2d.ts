import { positiveInteger } from '../checks/scalars.ts'
import type { ParameterType } from '../tensor/data-type.ts'
import { BatchNorm } from './batch-norm.ts'
import type { BatchNormOptions } from './options.ts'

export const positions2d = [['H', 'W']]

/**
 * Batch normalization of `[N, C, H, W]`; with `layout: 'channels-last'` of `[N, H, W, C]`. N is the
 * samples, C = numFeatures the channels, H and W the height and width.
 *
 * ```ts
 * const bn = new BatchNorm2d(64)
 * const y = bn.forward(tensor(data, [16, 64, 28, 28]))
 * ```
 *
 * https://pytorch.org/docs/stable/generated/torch.nn.BatchNorm2d.html
 */
export class BatchNorm2d<
  Type extends ParameterType = 'float32',
  Scale extends boolean = true,
  Center extends boolean = true,
  RunningStats extends boolean = true,
> extends BatchNorm<Type, Scale, Center, RunningStats> {
  constructor(numFeatures: number, options: BatchNormOptions<Type, Scale, Center, RunningStats> = {}) {
    super(positiveInteger('numFeatures', numFeatures), options, positions2d)
  }
}
