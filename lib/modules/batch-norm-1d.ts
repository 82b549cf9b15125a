import { positiveInteger } from '../checks/scalars.ts'
import type { ParameterType } from '../tensor/data-type.ts'
import { BatchNorm } from './batch-norm.ts'
import type { BatchNormOptions } from './options.ts'

export const positions1d = [[], ['L']]

/**
 * Batch normalization of `[N, C]` and `[N, C, L]`; with `layout: 'channels-last'` of `[N, C]` and
 * `[N, L, C]`. N is the samples, C = numFeatures the channels, L the positions.
 *
 * ```ts
 * const bn = new BatchNorm1d(100)
 * const y = bn.forward(tensor(data, [32, 100]))
 * const gradInput = bn.backward(gradOutput)
 * ```
 *
 * https://pytorch.org/docs/stable/generated/torch.nn.BatchNorm1d.html
 */
export class BatchNorm1d<
  Type extends ParameterType = 'float32',
  Scale extends boolean = true,
  Center extends boolean = true,
  RunningStats extends boolean = true,
> extends BatchNorm<Type, Scale, Center, RunningStats> {
  constructor(numFeatures: number, options: BatchNormOptions<Type, Scale, Center, RunningStats> = {}) {
    super(positiveInteger('numFeatures', numFeatures), options, positions1d)
  }
}
