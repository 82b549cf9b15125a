import type { Affine, ChannelMoments, Epilogue, NonFinite } from '../../../lib/backend/backend.ts'
import { typescriptBackend } from '../../../lib/backend/typescript/index.ts'
import { guarded, unwritten } from '../guarded.ts'
import {
  copyOfRunning,
  emptyMoments,
  epilogueOf,
  type Inputs,
  type Operation,
  ofMoments,
  ofRunning,
  type Recipe,
  type Results,
  single,
} from './inputs.ts'

/** Without room for what the mean loses. */
function shortMoments(recipe: Recipe): ChannelMoments {
  const { mean, m2 } = emptyMoments(recipe)
  return { count: 0, mean, m2 }
}

function statistics(room: (recipe: Recipe) => ChannelMoments): Operation {
  return (backend, inputs) => {
    const moments = room(inputs)
    backend.statistics(inputs.x, inputs.extent, moments)
    return ofMoments(moments)
  }
}

/** `into` and `from` are the moments of two parts of a batch, cut `share` of its samples in. */
function merge(share: number, [roomOfInto, roomOfFrom] = [emptyMoments, emptyMoments]): Operation {
  return (backend, inputs) => {
    const { x, extent } = inputs
    const { outer, channels, inner } = extent
    const samples = Math.round(outer * share)
    const cut = samples * channels * inner
    const momentsOf = (own: number, part: typeof x, moments: ChannelMoments) => {
      if (own > 0) typescriptBackend.statistics(part, { ...extent, outer: own }, moments)
      return moments
    }
    const into = momentsOf(samples, x.subarray(0, cut), roomOfInto(inputs))
    const from = momentsOf(outer - samples, x.subarray(cut), roomOfFrom(inputs))
    backend.merge(into, from)
    return ofMoments(into)
  }
}

/** More values than 32 bits can count. */
const mergeLargeCounts: Operation = (backend, inputs) => {
  const into: ChannelMoments = { ...emptyMoments(inputs), count: 2 ** 33 + 1 }
  const from: ChannelMoments = { ...inputs.moments, count: 2 ** 40 - 3 }
  backend.merge(into, from)
  return ofMoments(into)
}

function updateRunning(momentum: (recipe: Recipe) => number): Operation {
  return (backend, inputs) => {
    const running = copyOfRunning(inputs)
    // A variance wants more than one value.
    const moments = { ...inputs.moments, count: Math.max(inputs.moments.count, 2) }
    backend.updateRunning(running, moments, momentum(inputs))
    return ofRunning(running)
  }
}

const evalStatistics: Operation = (backend, inputs) => {
  const { count, m2, numbers, ...room } = emptyMoments(inputs)
  room.meanLow?.fill(Number.NaN)
  const invstd = unwritten(m2)
  backend.evalStatistics(inputs.running, inputs.eps, { ...room, invstd })
  return { ...room, invstd }
}

function normalize(affine: (inputs: Inputs) => Affine): Operation {
  return (backend, inputs) => {
    const y = unwritten(inputs.x, inputs.offset + 2)
    backend.normalize(inputs.x, inputs.extent, inputs.statistics, affine(inputs), y)
    return { y }
  }
}

type Where = 'apart' | 'over x' | 'over the residual'

function normalizeThen(parts: Parameters<typeof epilogueOf>[1], where: Where = 'apart'): Operation {
  return (backend, inputs) => {
    const { extent, statistics, weight, bias, offset } = inputs
    const given = epilogueOf(inputs, parts)
    const y =
      where === 'over x'
        ? guarded(inputs.x, offset)
        : where === 'over the residual'
          ? guarded(inputs.residual, offset)
          : unwritten(inputs.x, offset + 2)
    const epilogue: Epilogue = where === 'over the residual' ? { ...given, residual: y } : given
    backend.normalize(where === 'over x' ? y : inputs.x, extent, statistics, { weight, bias }, y, epilogue)
    return { y }
  }
}

const normalizeInPlace: Operation = (backend, { x, extent, offset, statistics, weight, bias }) => {
  const y = guarded(x, offset)
  backend.normalize(y, extent, statistics, { weight, bias }, y)
  return { y }
}

interface ForwardVariant {
  readonly nonFinite?: NonFinite
  readonly tracking?: boolean
  readonly inPlace?: boolean
  readonly room?: (recipe: Recipe) => ChannelMoments
  readonly epilogue?: (inputs: Inputs) => Epilogue
}

function forward(variant: ForwardVariant): Operation {
  const { nonFinite = 'propagate', tracking = true, inPlace = false, room = emptyMoments } = variant
  return (backend, inputs) => {
    const { x, extent, eps, momentum, weight, bias, offset } = inputs
    const running = tracking && extent.outer * extent.inner > 1 ? copyOfRunning(inputs) : null
    const moments = room(inputs)
    const invstd = unwritten(moments.mean)
    const y = inPlace ? guarded(x, offset) : unwritten(x, offset + 3)
    const settings = { eps, momentum, nonFinite }
    const fits = backend.forward(
      inPlace ? y : x,
      extent,
      settings,
      { weight, bias },
      running,
      moments,
      invstd,
      y,
      variant.epilogue?.(inputs),
    )
    const written: Results = { fits: single(Number(fits)), ...ofMoments(moments), invstd, y }
    return running ? { ...written, ...ofRunning(running) } : written
  }
}

const nonFinites: readonly NonFinite[] = ['propagate', 'skip', 'throw']

export const forwardOperations: Readonly<Record<string, Operation>> = {
  statistics: statistics(emptyMoments),
  'statistics without the low part': statistics(shortMoments),
  'merge of halves': merge(0.5),
  'merge of halves, into keeps nothing': merge(0.5, [shortMoments, emptyMoments]),
  'merge of halves, from keeps nothing': merge(0.5, [emptyMoments, shortMoments]),
  'merge into nothing': merge(0),
  'merge into nothing, from keeps nothing': merge(0, [emptyMoments, shortMoments]),
  'merge of nothing': merge(1),
  'merge of large counts': mergeLargeCounts,
  updateRunning: updateRunning(({ momentum }) => momentum),
  'updateRunning, momentum 1': updateRunning(() => 1),
  'updateRunning, momentum 0': updateRunning(() => 0),
  evalStatistics,
  normalize: normalize(({ weight, bias }) => ({ weight, bias })),
  'normalize, weight alone': normalize(({ weight }) => ({ weight, bias: null })),
  'normalize, bias alone': normalize(({ bias }) => ({ weight: null, bias })),
  'normalize, not affine': normalize(() => ({ weight: null, bias: null })),
  'normalize in place': normalizeInPlace,
  'normalize, activation': normalizeThen('activation'),
  'normalize, residual': normalizeThen('residual'),
  'normalize, residual, activation': normalizeThen('both'),
  'normalize, residual, activation, over x': normalizeThen('both', 'over x'),
  'normalize, residual, activation, over the residual': normalizeThen('both', 'over the residual'),
  ...Object.fromEntries(
    nonFinites.flatMap((nonFinite) => [
      [`forward, ${nonFinite}`, forward({ nonFinite })],
      [`forward, ${nonFinite}, not tracking`, forward({ nonFinite, tracking: false })],
    ]),
  ),
  'forward in place': forward({ inPlace: true }),
  'forward without the low part': forward({ room: shortMoments }),
  'forward, activation': forward({ epilogue: (inputs) => epilogueOf(inputs, 'activation') }),
  'forward, residual, activation': forward({ epilogue: (inputs) => epilogueOf(inputs, 'both') }),
  'forward, residual, activation, throw': forward({
    nonFinite: 'throw',
    epilogue: (inputs) => epilogueOf(inputs, 'both'),
  }),
}
