import type { ParameterType } from '../../tensor/data-type.ts'
import { BatchNorm1d } from '../batch-norm-1d.ts'
import { DomainBatchNorm } from './domain-batch-norm.ts'
import type { DomainBatchNormOptions, DomainParameters } from './options.ts'

/**
 * A `BatchNorm1d` for several domains, of the same shapes.
 *
 * ```ts
 * const bn = new DomainBatchNorm1d(64, { domains: ['photo', 'sketch'] })
 * const y = bn.forward(x, { domain: 'photo' })
 * ```
 *
 * https://arxiv.org/abs/1906.03950
 */
export class DomainBatchNorm1d<
  Type extends ParameterType = 'float32',
  Scale extends boolean = true,
  Center extends boolean = true,
  RunningStats extends boolean = true,
  Sharing extends DomainParameters = 'shared',
> extends DomainBatchNorm<
  BatchNorm1d<Type, Scale, Center, RunningStats>,
  Type,
  Scale,
  Center,
  RunningStats,
  Sharing
> {
  constructor(
    numFeatures: number,
    options: DomainBatchNormOptions<Type, Scale, Center, RunningStats, Sharing>,
  ) {
    super(options, (given) => new BatchNorm1d(numFeatures, given))
  }
}
