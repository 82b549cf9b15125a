import type { ChannelMoments, Gradients, PerChannel, Statistics, Values } from '../../backend/backend.ts'
import { emptyMoments, invstdOfMoments } from '../../backend/moments.ts'
import { checkFit } from '../../functional/non-finite.ts'
import { emptyLike, parameterArray } from '../../tensor/data-type.ts'
import type { Method, Pass } from '../pass.ts'
import { useRunning } from './plain.ts'
import type { Ranks } from './ranks.ts'
import { Correction, type Limits } from './renormalized.ts'
import { backward, gradientSums, inputGradient, normalize, type Steps, statistics } from './steps.ts'
import { sharesOf, weightedInputGradient, weightedMoments } from './weighted.ts'

/**
 * A forward in its single steps - the batch's moments, the running statistics, the normalization - for
 * what comes between them: weights of the samples, the correction of batch renormalization, running
 * statistics that normalize and move both, or the values of other ranks.
 */
export class Stepwise implements Method {
  readonly #weights: Float64Array | null
  readonly #limits: Limits | null
  readonly #overRanks: OverRanks | null
  #moments: ChannelMoments | null = null
  #statistics: Statistics | null = null
  #correction: Correction | null = null
  #fits = true
  #repeats = false
  #previous: Stepwise | null = null

  /**
   * @param weights - of each of the `outer` samples of the pass; `null`: all count alike
   * @param limits - of the correction; `null`: there is none
   * @param overRanks - of whose batch the pass has a part; `null`: it has all of it
   */
  constructor(weights: Float64Array | null, limits: Limits | null, overRanks: OverRanks | null = null) {
    this.#weights = weights
    this.#limits = limits
    this.#overRanks = overRanks
  }

  /** Whether nothing comes between the steps, so that `plain` does the same. */
  arePlain({ fromBatch, updatesRunning }: Pass): boolean {
    if (this.#overRanks !== null) return false
    return fromBatch ? this.#weights === null && this.#limits === null : !updatesRunning
  }

  *forward(pass: Pass): Steps {
    yield* this.observe(pass)
    if (this.#overRanks?.ranks.areEmpty !== true) yield* this.apply(pass)
  }

  /** The moments of the batch. After it nothing throws. */
  *observe(pass: Pass): Steps {
    const { input, extent, fromBatch, updatesRunning, running, settings, dtype } = pass
    if (!fromBatch && !updatesRunning) {
      if (this.#repeats && (this.#previous === null || this.#previous.#moments !== null)) {
        throw notRepeated()
      }
      return
    }
    // Where the running statistics normalize, the mean of the pass is theirs.
    const moments = fromBatch ? pass.moments : emptyMoments(extent.channels)
    if (this.#overRanks !== null) {
      yield* this.#overRanks.ranks.moments(pass, moments)
      this.#overRanks.choose(pass, this.#repeats)
      if (!pass.fromBatch && !pass.updatesRunning) return
    } else if (this.#weights === null) yield* statistics(input, extent, moments)
    else weightedMoments(input, extent, this.#weights, moments)
    this.#moments = moments
    this.#fits = checkFit(moments, pass.updatesRunning ? running : null, dtype, settings.nonFinite)
    const usesRunning = this.#limits !== null || !fromBatch
    if (this.#repeats && usesRunning && (this.#previous === null || !this.#previous.#hasSeen(moments))) {
      throw notRepeated()
    }
  }

  /** Normalizes, and moves the running statistics. */
  *apply(pass: Pass): Steps {
    const { input, extent, affine, settings, running, output, updatesRunning } = pass
    this.#fillStatistics(pass)
    const normalizer = this.#correction?.applied(pass.statistics) ?? pass.statistics
    if (updatesRunning && !this.#repeats) {
      running?.move(this.#moments as ChannelMoments, pass.momentum, settings.nonFinite, this.#fits)
    }
    if (input.length > 0) yield* normalize(input, extent, normalizer, affine, output, pass.epilogue)
  }

  *backward(pass: Pass, gradOutput: Values, gradients: Gradients): Steps {
    const { input, extent, affine, fromBatch, dtype } = pass
    const weight = this.#correction?.weight(affine.weight, dtype) ?? affine.weight
    const { channels } = extent
    const sums = { weight: parameterArray(dtype, channels), bias: parameterArray(dtype, channels) }
    const ranks = fromBatch ? this.#overRanks?.ranks : undefined
    if (ranks !== undefined) yield* backwardOverRanks(pass, ranks, weight, gradOutput, gradients, sums)
    else if (input.length > 0) yield* this.#backwardHere(pass, weight, gradOutput, gradients, sums)
    this.#correction?.correctGradient(sums)
    gradients.weight?.set(sums.weight)
    gradients.bias?.set(sums.bias)
  }

  *#backwardHere(
    { input, extent, statistics, fromBatch, activated }: Pass,
    weight: PerChannel | null,
    gradOutput: Values,
    gradients: Gradients,
    sums: ParameterSums,
  ): Steps {
    const weights = fromBatch ? this.#weights : null
    if (weights === null) {
      const wanted = { ...gradients, ...sums }
      yield* backward(gradOutput, input, extent, statistics, weight, fromBatch, wanted, activated)
      return
    }
    const residual = roomForResidual(gradOutput, gradients, activated)
    const wanted = { input: null, residual, ...sums }
    yield* backward(gradOutput, input, extent, statistics, weight, fromBatch, wanted, activated)
    if (gradients.input !== null) {
      const gradZ = residual ?? gradOutput
      const shares = sharesOf(weights, extent)
      weightedInputGradient(gradZ, input, extent, shares, statistics, weight, sums, gradients.input)
    }
  }

  repeat(_: Pass, previous: Method | null): void {
    this.#repeats = true
    this.#previous = previous instanceof Stepwise ? previous : null
  }

  /** What normalizes: the batch's statistics, corrected or not, or the running ones. */
  #fillStatistics(pass: Pass): void {
    const previous = this.#previous
    if (!pass.fromBatch) {
      if (previous !== null && previous.#statistics !== null)
        copyStatistics(previous.#statistics, pass.statistics)
      else useRunning(pass)
    } else {
      const { moments, statistics, settings, running } = pass
      invstdOfMoments(moments, settings.eps, statistics.invstd)
      if (this.#limits !== null && running !== null) {
        const seen = previous === null ? null : previous.#correction
        this.#correction = seen ?? Correction.between(statistics, running, settings.eps, this.#limits)
      }
    }
    this.#statistics = pass.statistics
    this.#previous = null
  }

  #hasSeen({ count, mean, m2 }: ChannelMoments): boolean {
    const seen = this.#moments
    const same = (a: Float64Array, b: Float64Array) =>
      a.every((value, channel) => Object.is(value, b[channel]))
    return seen !== null && seen.count === count && same(seen.mean, mean) && same(seen.m2, m2)
  }
}

function copyStatistics(from: Statistics, to: Statistics): void {
  to.mean.set(from.mean)
  to.invstd.set(from.invstd)
  if (from.meanLow) to.meanLow?.set(from.meanLow)
}

/** What scale and shift get, as it is stored. */
interface ParameterSums {
  readonly weight: PerChannel
  readonly bias: PerChannel
}

/** The sums are those of the values here; the gradient of the input is made of the sums of all ranks. */
function* backwardOverRanks(
  { input, extent, statistics, activated }: Pass,
  ranks: Ranks,
  weight: PerChannel | null,
  gradOutput: Values,
  gradients: Gradients,
  sums: ParameterSums,
): Steps {
  const { channels } = extent
  const own = { gradient: new Float64Array(channels), product: new Float64Array(channels) }
  if (input.length > 0) yield* gradientSums(gradOutput, input, extent, statistics, own, activated)
  const all = yield* ranks.sums(own)
  if (input.length === 0) return
  sums.weight.set(own.product)
  sums.bias.set(own.gradient)
  const { shares, count } = ranks
  if (shares === null) {
    yield* inputGradient(gradOutput, input, extent, statistics, weight, all, count, gradients, activated)
    return
  }
  const residual = roomForResidual(gradOutput, gradients, activated)
  const wanted = { input: null, residual }
  yield* inputGradient(gradOutput, input, extent, statistics, weight, all, count, wanted, activated)
  if (gradients.input !== null) {
    const gradZ = residual ?? gradOutput
    const ofAll = { weight: all.product, bias: all.gradient }
    weightedInputGradient(gradZ, input, extent, shares, statistics, weight, ofAll, gradients.input)
  }
}

/** Where the gradient of the residual goes, which that of weighted values is made of: without an activation it is gradOutput. */
function roomForResidual(
  gradOutput: Values,
  { residual }: Gradients,
  activated: Pass['activated'],
): Values | null {
  return residual ?? (activated ? emptyLike(gradOutput, gradOutput.length) : null)
}

/** The ranks of a batch, and what is decided when it is known how many values they have. */
export interface OverRanks {
  readonly ranks: Ranks
  choose(pass: Pass, repeats: boolean): void
}

/** For a `recompute` of another input, or in another mode, than the last forward. */
function notRepeated(): TypeError {
  return new TypeError(
    'Expected recompute(input) right after the forward(input) that it repeats, since running statistics took ' +
      'part in it and have moved, but received another input, mode or mask (call recompute before the next forward)',
  )
}
