import { assertAgreeing } from '../checks/contradictions.ts'
import { invalidType } from '../checks/errors.ts'
import { positiveInteger } from '../checks/scalars.ts'
import { BatchNorm } from '../modules/batch-norm.ts'
import { positions1d } from '../modules/batch-norm-1d.ts'
import { positions2d } from '../modules/batch-norm-2d.ts'
import { positions3d } from '../modules/batch-norm-3d.ts'
import type { Synchronization } from '../modules/methods/choose.ts'
import type { BatchNormOptions } from '../modules/options.ts'
import type { ParameterType } from '../tensor/data-type.ts'
import { assertCollective, type Collective } from './collective.ts'

/** Options of `SyncBatchNorm`: those of a batch norm, and the workers. */
export type SyncBatchNormOptions<
  Type extends ParameterType = 'float32',
  Scale extends boolean = boolean,
  Center extends boolean = boolean,
  RunningStats extends boolean = boolean,
> = BatchNormOptions<Type, Scale, Center, RunningStats> & {
  /** The workers whose batches are one. */
  collective: Collective
}

/** How many layers each collective has. */
const layers = new WeakMap<Collective, number>()

/**
 * Batch normalization with the statistics of the batches of all ranks, as if they were one batch: the forward and the
 * gradients of each rank are its part of those of the whole. Takes `[N, C]`, `[N, C, L]`, `[N, C, H, W]` and
 * `[N, C, D, H, W]`, with `layout: 'channels-last'` those with C last.
 *
 * ```ts
 * const bn = new SyncBatchNorm(100, { collective })
 * const y = bn.forward(shard)               // on every rank
 * const gradInput = bn.backward(gradOutput)  // on every rank
 * ```
 *
 * A `forward` that normalizes with the batch's statistics or moves the running ones, and a `backward` after one that
 * normalized, take part in one collective: every rank calls it, in the same order of layers, also one whose batch is
 * empty (N = 0). In eval there is none. Batches may differ in N and in positions, and in `mask`, `lengths` and `weights`;
 * weights are compared over all ranks. Running statistics have the same bits on every rank, whatever the engine, and with
 * one rank all bits are those of `BatchNorm1d` and its like. Fewer than 2 values a channel over all ranks throw on all.
 *
 * Mean, M2 and count travel, not `invstd`, and are merged in the order of the ranks in float64. `weight.grad` and
 * `bias.grad` are those of the rank's own values; `averageGradients` brings them together. gradInput is made of the sums
 * of `gradOutput` over all ranks, so `gradOutput` has to be the gradient of one loss of all: where ranks average over
 * their own rows, and have not equally many, each scales its loss by `rows * ranks / all rows`.
 *
 * Of asynchronous calls await each before the next, for the same order on every rank. After a `CollectiveError` nothing
 * has changed.
 *
 * https://pytorch.org/docs/stable/generated/torch.nn.SyncBatchNorm.html
 */
export class SyncBatchNorm<
  Type extends ParameterType = 'float32',
  Scale extends boolean = true,
  Center extends boolean = true,
  RunningStats extends boolean = true,
> extends BatchNorm<Type, Scale, Center, RunningStats> {
  readonly #collective: Collective

  /**
   * @throws TypeError for options without a collective, and with `virtualBatchSize`; see `BatchNorm` for the rest
   */
  constructor(numFeatures: number, options: SyncBatchNormOptions<Type, Scale, Center, RunningStats>) {
    if (typeof options !== 'object' || options === null) {
      throw invalidType('options', 'an object with a collective', options)
    }
    const { collective, ...others } = options
    assertCollective('collective', collective)
    assertAgreeing({ virtualBatchSize: others.virtualBatchSize, collective })
    const positions = [...positions1d, ...positions2d, ...positions3d]
    super(positiveInteger('numFeatures', numFeatures), others, positions, synchronizationOf(collective))
    this.#collective = collective
  }

  /** The workers whose batches are one. */
  get collective(): Collective {
    return this.#collective
  }

  override get options(): SyncBatchNormOptions<Type, Scale, Center, RunningStats> {
    return { ...super.options, collective: this.#collective }
  }
}

/** Layers are told apart by their number, so that those of ranks in another order are an error. */
function synchronizationOf(collective: Collective): Synchronization | null {
  if (collective.size === 1) return null
  const layer = layers.get(collective) ?? 0
  layers.set(collective, layer + 1)
  return { collective, layer: `SyncBatchNorm ${layer}` }
}
