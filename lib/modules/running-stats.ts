import type { ChannelMoments, NonFinite, Running } from '../backend/backend.ts'
import { currentBackend } from '../backend/load.ts'
import { refuseSetting } from '../checks/fixed-properties.ts'
import { assertWritable } from '../checks/in-flight.ts'
import { OverflowWarning } from '../functional/non-finite.ts'
import { type ParameterArray, type ParameterType, parameterArray } from '../tensor/data-type.ts'
import { Tensor } from '../tensor/tensor.ts'
import { fixedInTensor } from './fixed.ts'
import { correctionOf, type StoredVariance } from './stored-variance.ts'

/** The most that int64 holds. */
const mostBatches = 2n ** 63n - 1n

/** The running statistics of a module: what eval mode normalizes with. */
export class RunningStats {
  readonly type: ParameterType
  /** As `Running` has it. */
  readonly correction: Running['correction']
  readonly mean: Tensor<ParameterArray<ParameterType>>
  readonly variance: Tensor<ParameterArray<ParameterType>>
  // Written out: TypeScript below 5.7 knows no array of a kind of buffer, which declarations would name.
  readonly numBatchesTracked: Tensor<BigInt64Array> = new Tensor(new BigInt64Array(1), [])
  /**
   * Where the schedule of `renorm` is: how many batches have moved them since `reset`, whatever `set` makes of the
   * counter; `null` without `renorm`.
   */
  readonly renormSteps: Tensor<BigInt64Array> | null
  /** Mean and variance as a backend takes them. */
  readonly buffers: Running
  /** The data of `numBatchesTracked`, where its guard would cost time. */
  readonly #counter = this.numBatchesTracked.data
  readonly #overflowWarning = new OverflowWarning()

  constructor(channels: number, type: ParameterType, storedVariance: StoredVariance, renorms: boolean) {
    this.type = type
    this.correction = correctionOf(storedVariance)
    this.mean = new Tensor(parameterArray(type, channels), [channels])
    this.variance = new Tensor(parameterArray(type, channels), [channels])
    this.buffers = { mean: this.mean.data, variance: this.variance.data, correction: this.correction }
    this.renormSteps = renorms ? new Tensor(new BigInt64Array(1), []) : null
    if (this.renormSteps) refuseSetting(this.renormSteps, 'renormSteps', fixedInTensor)
    refuseSetting(this.mean, 'runningMean', fixedInTensor)
    refuseSetting(this.variance, 'runningVar', fixedInTensor)
    refuseSetting(this.numBatchesTracked, 'numBatchesTracked', fixedInTensor)
    this.reset()
  }

  /** Mean 0, variance 1, no batch tracked. */
  reset(): void {
    this.mean.data.fill(0)
    this.variance.data.fill(1)
    this.#counter[0] = 0n
    this.renormSteps?.data.fill(0n)
  }

  /** How many batches have moved them. */
  get batches(): number {
    return Number(this.#counter[0])
  }

  /** The weight of the next batch: `momentum`, or for `null` what gives it and every one before the same. */
  weightOfNext(momentum: number | null): number {
    return momentum ?? 1 / (this.batches + 1)
  }

  /**
   * Moves them toward the moments of a batch and counts it, unless `nonFinite` skips it.
   *
   * @param fits - whether the moments do, as `checkFit` says
   */
  move(moments: ChannelMoments, momentum: number | null, nonFinite: NonFinite, fits: boolean): void {
    if (!fits && nonFinite === 'skip') return
    currentBackend().updateRunning(this.buffers, moments, this.weightOfNext(momentum))
    this.count(moments, nonFinite, fits)
  }

  /** Counts a batch that a forward has moved them toward; says once if its statistics do not fit. */
  count(moments: ChannelMoments, nonFinite: NonFinite, fits: boolean): void {
    if (!fits && nonFinite === 'skip') return
    if (!fits) this.warnOf(moments)
    this.countOne()
  }

  /**
   * Counts a batch; one without values too, which moves nothing, as PyTorch does: `momentum: null` averages over it.
   * Up to 2^63 - 1, where it stays: one more would be negative, which no state dict may have.
   */
  countOne(): void {
    if (this.#counter[0] < mostBatches) this.#counter[0] += 1n
    const steps = this.renormSteps?.data
    if (steps && steps[0] < mostBatches) steps[0] += 1n
  }

  /** Sets them and the counter. */
  set({ mean, variance }: Omit<Running, 'correction'>, batches: number): void {
    this.mean.data.set(mean)
    this.variance.data.set(variance)
    this.#counter[0] = BigInt(batches)
  }

  /** Says once what of moments does not fit. */
  warnOf(moments: ChannelMoments): void {
    this.#overflowWarning.give(moments, this)
  }

  /** What they are now: the function that is returned makes them that again, where they still have their memory. */
  saved(): () => void {
    const { mean, variance, numBatchesTracked, renormSteps } = this
    const tensors = [mean, variance, numBatchesTracked, ...(renormSteps ? [renormSteps] : [])]
    const arrays = tensors.map(({ data }) => [data, data.slice()] as const)
    return () => {
      for (const [data, old] of arrays) if (data.length === old.length) data.set(old as never)
    }
  }

  /** @throws TypeError while an asynchronous call uses them */
  assertWritable(): void {
    assertWritable('runningMean', this.mean.data)
    assertWritable('runningVar', this.variance.data)
  }
}
