import { BatchNorm } from './batch-norm.ts'
import type { BatchNormOptions } from './options.ts'

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
export class BatchNorm1d extends BatchNorm {
  constructor(numFeatures: number, options: BatchNormOptions = {}) {
    super(numFeatures, options, [[], ['L']])
  }
}
