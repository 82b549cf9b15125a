/**
 * What every option of a batch norm means, written down directly: in float64, one group of values after
 * another, with nothing shared with the library. It is the oracle of forward, and of backward by central
 * differences; beside each result it says how far a float32 one may lie from it.
 */
import type { BatchNormOptions } from '../../lib/index.ts'
import {
  biasGradientTolerance,
  type Doubt,
  doubtOfBatch,
  inputGradientTolerance,
  outputTolerance,
  relativeDoubtOfVariance,
  unit,
  weightGradientTolerance,
} from './tolerance.ts'

type Numbers = ArrayLike<number>

/** The running statistics, and how wrong float32 ones may be. */
export interface RunningReference {
  readonly mean: number[]
  readonly variance: number[]
  readonly meanTolerance: number[]
  readonly varianceTolerance: number[]
  batches: number
}

/** Everything that a forward depends on. */
export interface Problem {
  readonly shape: readonly number[]
  readonly x: Numbers
  readonly options: BatchNormOptions
  readonly call: {
    readonly mask?: Numbers
    readonly lengths?: Numbers
    readonly weights?: Numbers
    readonly residual?: Numbers
  }
  readonly training: boolean
  readonly frozen: boolean
  /** What is trained: gamma, with `positiveScale` the raw scale; `null`: there is none. */
  readonly scale: Numbers | null
  readonly bias: Numbers | null
  readonly running: RunningReference | null
}

/** Values of one channel that are normalized together. */
interface Group {
  readonly channel: number
  /** Where they are. */
  readonly indices: number[]
  /** The part of each in the statistics; 0 where these are the running ones. */
  readonly shares: number[]
  /** What normalizes: `y = ((x - mean) * invstd * r + d) * gamma + beta`. */
  readonly mean: number
  readonly invstd: number
  /** Constants to the gradient: the running statistics that normalize, and the correction. */
  readonly constants: {
    readonly mean: number
    readonly variance: number
    readonly r: number
    readonly d: number
  }
  /** How wrong float32 may be: statistics, r in parts of itself, and d. */
  readonly doubt: Doubt & { readonly r: number; readonly d: number }
}

export interface Reference {
  /** What the activation is applied to. */
  readonly z: Float64Array
  readonly y: Float64Array
  readonly tolerance: Float64Array
  readonly groups: readonly Group[]
  readonly running: RunningReference | null
}

/** The running statistics of a module, as it has them: exact. */
export function runningOf(mean: Numbers, variance: Numbers, batches: number): RunningReference {
  const zeros = () => Array.from(mean, () => 0)
  return {
    mean: Array.from(mean),
    variance: Array.from(variance),
    meanTolerance: zeros(),
    varianceTolerance: zeros(),
    batches,
  }
}

/** log(1 + exp(raw)) */
export function softplus(raw: number): number {
  return Math.max(raw, 0) + Math.log1p(Math.exp(-Math.abs(raw)))
}

/** @param held - groups of an earlier evaluation, whose constants are to be kept */
export function reference(problem: Problem, held?: readonly Group[]): Reference {
  const { options, training, frozen, shape, x } = problem
  const { eps = 1e-5, momentum = 0.1, layout, virtualBatchSize = null } = options
  const tracks = problem.running !== null
  const fromBatch = frozen ? false : (options.useBatchStats ?? (training || !tracks))
  const moves = tracks && (frozen ? false : (options.updateStats ?? training))
  const running = problem.running === null ? null : structuredClone(problem.running)
  const channels = layout === 'channels-last' ? shape[shape.length - 1] : shape[1]
  const positions = shape.reduce((product, size) => product * size, 1) / (shape[0] * channels)
  const indexOf = ({ sample, position }: Place, channel: number) =>
    layout === 'channels-last'
      ? (sample * positions + position) * channels + channel
      : (sample * channels + channel) * positions + position

  const all = placesOf(shape[0], positions, {})
  const counted = placesOf(shape[0], positions, problem.call)
  const ghosts = training && fromBatch && virtualBatchSize !== null
  const parts = ghosts ? cut(counted, shape[0], virtualBatchSize) : [counted]
  const groups: Group[] = []
  for (const places of counted.length === 0 ? [all] : parts) {
    const weights = places.map(({ sample }) => problem.call.weights?.[sample] ?? 1)
    const total = sum(weights)
    const count = total ** 2 / sum(weights.map((weight) => weight ** 2))
    const counts = counted.length > 0 && total > 0 && Math.fround(count) > 1
    const shares = weights.map((weight) => (fromBatch && counts ? weight / total : 0))
    for (let channel = 0; channel < channels; channel++) {
      const indices = places.map((place) => indexOf(place, channel))
      const mean = sum(indices.map((index, at) => weights[at] * x[index])) / total
      const variance = sum(indices.map((index, at) => weights[at] * (x[index] - mean) ** 2)) / total
      const doubt = doubtOfBatch(indices.length)
      const earlier = held?.[groups.length].constants
      const seen = earlier ?? { mean: running?.mean[channel] ?? 0, variance: running?.variance[channel] ?? 1 }
      const seenStd = Math.sqrt(seen.variance + eps)
      const seenDoubt = {
        mean: (running?.meanTolerance[channel] ?? 0) / seenStd,
        invstd: (running?.varianceTolerance[channel] ?? 0) / (seen.variance + eps),
      }
      if (fromBatch && counts) {
        const std = Math.sqrt(variance + eps)
        const corrected =
          training && options.renorm ? correction(options, mean, std, seen, seenStd) : { r: 1, d: 0 }
        const { r, d } = earlier ?? corrected
        const doubtOfD =
          (doubt.mean * std) / seenStd + seenDoubt.mean + Math.abs(d) * (seenDoubt.invstd + 2 * unit)
        groups.push({
          channel,
          indices,
          shares,
          mean,
          invstd: 1 / std,
          constants: { ...seen, r, d },
          doubt: options.renorm
            ? { ...doubt, r: doubt.invstd + seenDoubt.invstd + 2 * unit, d: doubtOfD }
            : { ...doubt, r: 0, d: 0 },
        })
      } else {
        const constants = { ...seen, r: 1, d: 0 }
        groups.push({
          channel,
          indices,
          shares,
          mean: seen.mean,
          invstd: 1 / seenStd,
          constants,
          doubt: { ...seenDoubt, r: 0, d: 0 },
        })
      }
      if (running !== null && moves && counts) {
        const weight = momentum ?? 1 / (running.batches + 1)
        const stored = options.storedVariance === 'biased' ? variance : (variance * count) / (count - 1)
        move(running.mean, running.meanTolerance, channel, weight, mean, doubt.mean * Math.sqrt(variance))
        move(
          running.variance,
          running.varianceTolerance,
          channel,
          weight,
          stored,
          stored * relativeDoubtOfVariance(indices.length),
        )
      }
    }
    if (running !== null && moves && counts) running.batches++
  }

  const z = new Float64Array(x.length)
  const y = new Float64Array(x.length)
  const tolerance = new Float64Array(x.length)
  for (const { channel, indices, mean, invstd, constants, doubt } of groups) {
    const { r, d } = constants
    const gamma = gammaOf(problem, channel)
    const beta = problem.bias?.[channel] ?? 0
    for (const index of indices) {
      const normalized = (x[index] - mean) * invstd * r
      const added = problem.call.residual?.[index] ?? 0
      const output = (normalized + d) * gamma + beta
      z[index] = output + added
      y[index] = z[index] * slopeAt(options, z[index])
      // gamma itself is rounded once where it is a softplus.
      const relative = { mean: doubt.mean, invstd: doubt.invstd + unit }
      const ofCorrection = Math.abs(gamma) * (Math.abs(normalized) * (doubt.invstd + doubt.r) + doubt.d)
      // The sum with a residual is rounded once, and so is what a negative slope makes of it.
      const ofEpilogue = 2 * unit * (Math.abs(z[index]) + Math.abs(added))
      tolerance[index] = outputTolerance(output, gamma * r, beta, relative) + ofCorrection + ofEpilogue
    }
  }
  return { z, y, tolerance, groups, running }
}

/** The slope of the activation at z; 1 without one. */
function slopeAt({ activation, negativeSlope = 0.01 }: BatchNormOptions, z: number): number {
  if (!activation || z > 0) return 1
  return activation === 'relu' ? 0 : negativeSlope
}

interface Place {
  readonly sample: number
  readonly position: number
}

/** The places that count: sample after sample, position after position. */
function placesOf(samples: number, positions: number, { mask, lengths }: Problem['call']): Place[] {
  const places: Place[] = []
  for (let sample = 0; sample < samples; sample++) {
    for (let position = 0; position < positions; position++) {
      const flag = mask?.length === samples ? mask[sample] : mask?.[sample * positions + position]
      if ((flag ?? 1) === 1 && position < (lengths?.[sample] ?? positions)) places.push({ sample, position })
    }
  }
  return places
}

/** Groups of `size` samples; what is left over goes to the last. A group where nothing counts is none. */
function cut(places: readonly Place[], samples: number, size: number): Place[][] {
  const last = Math.max(Math.floor(samples / size) - 1, 0)
  const groups = Array.from({ length: last + 1 }, () => [] as Place[])
  for (const place of places) groups[Math.min(Math.floor(place.sample / size), last)].push(place)
  return groups.filter((group) => group.length > 0)
}

/** r and d of batch renormalization (Ioffe 2017, algorithm 1), with limits that are numbers. */
function correction(
  { renorm }: BatchNormOptions,
  mean: number,
  std: number,
  seen: { readonly mean: number },
  seenStd: number,
): { r: number; d: number } {
  const { rMax, dMax } = renorm as { rMax: number; dMax: number }
  return {
    r: Math.max(1 / rMax, Math.min(rMax, std / seenStd)),
    d: Math.max(-dMax, Math.min(dMax, (mean - seen.mean) / seenStd)),
  }
}

function move(
  values: number[],
  tolerances: number[],
  channel: number,
  weight: number,
  batch: number,
  doubt: number,
) {
  values[channel] = (1 - weight) * values[channel] + weight * batch
  tolerances[channel] =
    (1 - weight) * tolerances[channel] +
    weight * doubt +
    2 * unit * (Math.abs(values[channel]) + weight * Math.abs(batch))
}

function gammaOf({ scale, options }: Problem, channel: number): number {
  if (scale === null) return 1
  return options.positiveScale ? softplus(scale[channel]) : scale[channel]
}

export interface GradientReference {
  /** Of the residual. */
  readonly residual: Float64Array
  readonly input: Float64Array
  readonly inputTolerance: Float64Array
  /** Of what is trained: gamma, or the raw scale. */
  readonly scale: Float64Array
  readonly scaleTolerance: Float64Array
  readonly bias: Float64Array
  readonly biasTolerance: Float64Array
}

/**
 * The gradients of `sum(gradOutput * y)`, with the constants of the groups held, and gradZ what the
 * activation lets through of gradOutput:
 *
 *     gradInput = gamma * r * invstd * (gradZ - share * (sum(gradZ) + xhat * sum(gradZ * xhat)))
 *     gradGamma = r * sum(gradZ * xhat) + d * sum(gradZ)
 *     gradResidual = gradZ
 */
export function gradientReference(
  problem: Problem,
  { groups, z }: Reference,
  gradOutput: Numbers,
): GradientReference {
  const { x, scale, options } = problem
  const channels = 1 + Math.max(...groups.map(({ channel }) => channel))
  const gradZ = new Float64Array(x.length)
  for (const { indices } of groups) {
    for (const index of indices) gradZ[index] = gradOutput[index] * slopeAt(options, z[index])
  }
  const perChannel = () => new Float64Array(channels)
  const result: GradientReference = {
    residual: gradZ,
    input: new Float64Array(x.length),
    inputTolerance: new Float64Array(x.length),
    scale: perChannel(),
    scaleTolerance: perChannel(),
    bias: perChannel(),
    biasTolerance: perChannel(),
  }
  for (const { channel, indices, shares, mean, invstd, constants, doubt } of groups) {
    const { r, d } = constants
    const gamma = gammaOf(problem, channel)
    const xhat = indices.map((index) => (x[index] - mean) * invstd)
    const products = indices.map((index, at) => gradZ[index] * xhat[at])
    const [gradientSum, product] = [sum(indices.map((index) => gradZ[index])), sum(products)]
    const gradientTolerance = biasGradientTolerance(
      sum(indices.map((i) => Math.abs(gradZ[i]))),
      indices.length,
    )
    const productTolerance = weightGradientTolerance(
      sum(products.map(Math.abs)),
      gradientSum,
      gradientTolerance,
      indices.length,
      doubt,
    )
    indices.forEach((index, at) => {
      const share = shares[at]
      const factor = gamma * r * invstd
      result.input[index] = factor * (gradZ[index] - share * (gradientSum + xhat[at] * product))
      result.inputTolerance[index] = inputGradientTolerance(
        {
          gradOutput: gradZ[index],
          normalized: xhat[at],
          scale: factor,
          meanGradient: share * gradientSum,
          meanProduct: share * product,
          meanGradientTolerance: share * (gradientTolerance + unit * Math.abs(gradientSum)),
          meanProductTolerance: share * (productTolerance + unit * Math.abs(product)),
        },
        // r, gamma and their product are rounded once each.
        { mean: doubt.mean, invstd: doubt.invstd + doubt.r + 3 * unit },
      )
    })
    result.bias[channel] += gradientSum
    result.biasTolerance[channel] += gradientTolerance + 2 * unit * Math.abs(gradientSum)
    result.scale[channel] += r * product + d * gradientSum
    result.scaleTolerance[channel] +=
      r * productTolerance +
      Math.abs(d) * gradientTolerance +
      (doubt.r + 4 * unit) * Math.abs(r * product) +
      (Math.abs(d) * 4 * unit + doubt.d) * Math.abs(gradientSum)
  }
  for (let channel = 0; channel < channels; channel++) {
    result.biasTolerance[channel] += unit * Math.abs(result.bias[channel])
    result.scaleTolerance[channel] += 2 * unit * Math.abs(result.scale[channel])
    if (!options.positiveScale || scale === null) continue
    const slope = 1 / (1 + Math.exp(-scale[channel])) // of softplus
    result.scale[channel] *= slope
    result.scaleTolerance[channel] =
      slope * result.scaleTolerance[channel] + unit * Math.abs(result.scale[channel])
  }
  return result
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}
