import type { Moments, Running } from '../backend/backend.ts'
import { type ParameterArray, type ParameterType, parameterArray } from '../data-type.ts'
import { OverflowWarning } from '../non-finite.ts'
import { Tensor } from '../tensor.ts'

/** The running statistics of a module: what eval mode normalizes with. */
export class RunningStats {
  readonly type: ParameterType
  readonly mean: Tensor<ParameterArray<ParameterType>>
  readonly variance: Tensor<ParameterArray<ParameterType>>
  readonly numBatchesTracked = new Tensor(new BigInt64Array(1), [])
  /** Mean and variance as a backend takes them. */
  readonly buffers: Running
  readonly #overflowWarning = new OverflowWarning()

  constructor(channels: number, type: ParameterType) {
    this.type = type
    this.mean = new Tensor(parameterArray(type, channels), [channels])
    this.variance = new Tensor(parameterArray(type, channels), [channels])
    this.buffers = { mean: this.mean.data, variance: this.variance.data }
    this.reset()
  }

  /** Mean 0, variance 1, no batch tracked. */
  reset(): void {
    this.mean.data.fill(0)
    this.variance.data.fill(1)
    this.numBatchesTracked.data[0] = 0n
  }

  /** How many batches have moved them. */
  get batches(): number {
    return Number(this.numBatchesTracked.data[0])
  }

  /** The weight of the next batch: `momentum`, or for `null` what gives it and every one before the same. */
  weightOfNext(momentum: number | null): number {
    return momentum ?? 1 / (this.batches + 1)
  }

  /** Counts a batch that has moved them; says once if its statistics do not fit. */
  count(moments: Moments, fits: boolean): void {
    if (!fits) this.#overflowWarning.give(moments, this.type)
    this.numBatchesTracked.data[0] += 1n
  }
}
