/**
 * Batch renormalization: what is normalized with the batch's statistics is corrected toward what the
 * running ones would give,
 *
 *     y = ((x - mean) / std * r + d) * weight + bias
 *     r = clip(std / runningStd, 1 / rMax, rMax)
 *     d = clip((mean - runningMean) / runningStd, -dMax, dMax)
 *
 * where no gradient flows through r and d, and std = sqrt(variance + eps). Without the clips it would be
 * eval mode; with rMax = 1 and dMax = 0 it is plain batch normalization.
 * Ioffe 2017, https://arxiv.org/abs/1702.03275, algorithm 1.
 *
 * The paper averages the standard deviation; here runningVar stays PyTorch's, the average of unbiased
 * variances, and runningStd = sqrt(runningVar + eps), so that eval mode is the same with this option and without it.
 */
import type { PerChannel, Statistics } from '../../backend/backend.ts'
import { currentBackend } from '../../backend/load.ts'
import { invalidType, invalidValue } from '../../checks/errors.ts'
import { optionNames, optionsObject } from '../../checks/options.ts'
import { type ParameterType, parameterArray } from '../../tensor/data-type.ts'
import type { RunningStats } from '../running-stats.ts'

/** A number, or a function of `renormSteps`: of how many batches have moved the running statistics before. */
export type Schedule = number | ((renormSteps: number) => number)

/** The limits of the correction; those of the paper where they are left out. */
export interface RenormOptions {
  /** The largest r, at least 1. */
  rMax?: Schedule
  /** The largest |d|, at least 0. */
  dMax?: Schedule
}

const names = optionNames<RenormOptions>({ rMax: true, dMax: true })

/** The limits for one batch. */
export interface Limits {
  readonly rMax: number
  readonly dMax: number
}

/** From one value at step 5000 to another at step `end`, in a straight line. */
function relaxed(from: number, to: number, end: number): Schedule {
  const begin = 5000
  return (step) => from + (to - from) * Math.min(Math.max((step - begin) / (end - begin), 0), 1)
}

/** Section 4 of the paper: none for 5000 steps, then up to 3 at 40,000 and up to 5 at 25,000. */
const paper = { rMax: relaxed(1, 3, 40_000), dMax: relaxed(0, 5, 25_000) }

/** The option `renorm`: limits that change over time. */
export class Renorm {
  readonly rMax: Schedule
  readonly dMax: Schedule

  /** @throws TypeError or RangeError for what is not a limit */
  constructor(options: RenormOptions) {
    const { rMax = paper.rMax, dMax = paper.dMax } = optionsObject(options, names, 'renorm')
    this.rMax = rMax
    this.dMax = dMax
    this.limitsAt(0)
  }

  /** @throws TypeError or RangeError for a schedule that gives what is not a limit */
  limitsAt(step: number): Limits {
    return {
      rMax: limitOf('renorm.rMax', this.rMax, step, 1),
      dMax: limitOf('renorm.dMax', this.dMax, step, 0),
    }
  }

  /** `True` for the paper's limits, or the limits. */
  toString(): string {
    if (this.rMax === paper.rMax && this.dMax === paper.dMax) return 'True'
    const text = (limit: Schedule) => (typeof limit === 'number' ? String(limit) : 'schedule')
    return `(r_max=${text(this.rMax)}, d_max=${text(this.dMax)})`
  }
}

function limitOf(name: string, schedule: Schedule, batches: number, least: number): number {
  const value = typeof schedule === 'function' ? schedule(batches) : schedule
  if (typeof value === 'number' && value >= least) return value
  const where = typeof schedule === 'function' ? `${name}(${batches})` : name
  const error = typeof value === 'number' ? invalidValue : invalidType
  throw error(where, `a number, at least ${least},`, value)
}

/** r and d of each channel, for one batch. */
export class Correction {
  readonly #r: Float64Array
  readonly #d: Float64Array

  private constructor(r: Float64Array, d: Float64Array) {
    this.#r = r
    this.#d = d
  }

  /** Of a batch's statistics toward the running ones as they are now. */
  static between(batch: Statistics, running: RunningStats, eps: number, { rMax, dMax }: Limits): Correction {
    const channels = batch.mean.length
    const target = { mean: new Float64Array(channels), invstd: new Float64Array(channels) }
    currentBackend().evalStatistics(running.buffers, eps, target)
    const clip = (value: number, least: number, most: number) => Math.min(Math.max(value, least), most)
    return new Correction(
      target.invstd.map((invstd, channel) => clip(invstd / batch.invstd[channel], 1 / rMax, rMax)),
      target.mean.map((mean, channel) => {
        const difference = batch.mean[channel] - mean + (batch.meanLow?.[channel] ?? 0)
        return clip(difference * target.invstd[channel], -dMax, dMax)
      }),
    )
  }

  /** The statistics that normalize and correct in one: `(x - (mean - d * std / r)) * (r / std)`. */
  applied({ mean, invstd, meanLow }: Statistics): Statistics {
    const shift = this.#d.map((d, channel) => d / (this.#r[channel] * invstd[channel]))
    const shifted = mean.map((value, channel) => value - shift[channel])
    return {
      mean: shifted,
      invstd: invstd.map((value, channel) => value * this.#r[channel]),
      // What the difference rounds off is lost as well.
      ...(meanLow && {
        meanLow: meanLow.map((value, channel) => value + (mean[channel] - shifted[channel] - shift[channel])),
      }),
    }
  }

  /** `weight * r`, what the gradient of the input takes for the weight. */
  weight(weight: PerChannel | null, type: ParameterType): PerChannel {
    const corrected = parameterArray(type, this.#r.length)
    corrected.set(weight ? this.#r.map((r, channel) => weight[channel] * r) : this.#r)
    return corrected
  }

  /** Of `sum(gradOutput * xhat)` makes `sum(gradOutput * (xhat * r + d))`, the gradient of the weight. */
  correctGradient(sums: { readonly weight: PerChannel; readonly bias: PerChannel }): void {
    for (let channel = 0; channel < this.#r.length; channel++) {
      sums.weight[channel] = this.#r[channel] * sums.weight[channel] + this.#d[channel] * sums.bias[channel]
    }
  }
}
