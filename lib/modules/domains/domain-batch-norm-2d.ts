import type { ParameterType } from '../../tensor/data-type.ts'
import { BatchNorm2d } from '../batch-norm-2d.ts'
import { DomainBatchNorm } from './domain-batch-norm.ts'
import type { DomainBatchNormOptions, DomainParameters } from './options.ts'

/**
 * A `BatchNorm2d` for several domains, of the same shapes.
 *
 * ```ts
 * const bn = new DomainBatchNorm2d(64, { domains: ['photo', 'sketch'] })
 * const y = bn.forward(x, { domain: 'photo' })
 * ```
 *
 * https://arxiv.org/abs/1906.03950
 */
export class DomainBatchNorm2d<
  Type extends ParameterType = 'float32',
  Scale extends boolean = true,
  Center extends boolean = true,
  RunningStats extends boolean = true,
  Sharing extends DomainParameters = 'shared',
> extends DomainBatchNorm<
  BatchNorm2d<Type, Scale, Center, RunningStats>,
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
    super(options, (given) => new BatchNorm2d(numFeatures, given))
  }
}
