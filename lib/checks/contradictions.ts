/** What excludes each other, in one table: options of a module and of a call, and what is done with a module. */
import { contradiction } from './errors.ts'

/** What can exclude something else, by the name that a caller wrote. */
type Name =
  | 'activation'
  | 'affine'
  | 'center'
  | 'collective'
  | 'decay'
  | 'count'
  | 'fallback'
  | 'explainGap'
  | 'frozen'
  | 'lengths'
  | 'mask'
  | 'microBatches'
  | 'moments'
  | 'negativeSlope'
  | 'output'
  | 'parameters'
  | 'positiveScale'
  | 'renorm'
  | 'reuse'
  | 'scale'
  | 'singleValue'
  | 'storedVariance'
  | 'state'
  | 'trackRunningStats'
  | 'trainAffine'
  | 'updateStats'
  | 'useBatchStats'
  | 'virtualBatchSize'
  | 'window'

/** Options as they were given, or as a module has them by now. */
type Given = Readonly<Partial<Record<Name, unknown>>>

/** An option that was chosen, as it is written. */
interface Choice {
  readonly title: string
  readonly in: (given: Given) => boolean
}

const is = (name: Name, value: unknown): Choice => ({
  title: `${name}: ${typeof value === 'string' ? `'${value}'` : value}`,
  in: (given) => given[name] === value,
})

/** An option that is there, whatever it is. */
const has = (name: Name): Choice => ({
  title: name,
  in: (given) => given[name] !== undefined && given[name] !== null && given[name] !== false,
})

const withoutAffine = is('affine', false)
const withoutStats = is('trackRunningStats', false)
const ownParameters = is('parameters', 'own')
const frozen: Choice = { title: 'freeze()', in: (given) => given.frozen === true }
const synchronized: Choice = {
  title: 'a collective',
  in: ({ collective }) => collective !== undefined && collective !== null,
}
const microBatches: Choice = { title: 'micro-batches', in: (given) => given.microBatches === true }
const explained: Choice = { title: 'explainGap()', in: (given) => given.explainGap === true }
/** No scale and no center, each on its own: `affine: false` says it in one. */
const withoutEither: Choice = {
  title: 'scale: false and center: false',
  in: ({ scale, center }) => scale === false && center === false,
}
const withoutActivation: Choice = {
  title: 'activation: null',
  in: ({ activation }) => activation === undefined || activation === null,
}

const pairs: readonly (readonly [Choice, Choice])[] = [
  [withoutAffine, is('scale', true)],
  [withoutAffine, is('center', true)],
  [withoutAffine, is('positiveScale', true)],
  [withoutAffine, is('trainAffine', true)],
  [is('scale', false), is('positiveScale', true)],
  [withoutEither, is('trainAffine', true)],
  [withoutAffine, ownParameters],
  [withoutEither, ownParameters],
  [withoutStats, is('singleValue', 'running')],
  [withoutStats, is('useBatchStats', false)],
  [withoutStats, is('updateStats', true)],
  [withoutStats, has('renorm')],
  [withoutStats, is('storedVariance', 'biased')],
  [withoutStats, frozen],
  [withoutStats, has('fallback')],
  // They say what is done with the batch's statistics. A frozen module has them for later.
  [is('useBatchStats', false), has('virtualBatchSize')],
  [is('useBatchStats', false), has('renorm')],
  [withoutActivation, has('negativeSlope')],
  [withoutActivation, has('output')],
  [is('activation', 'relu'), has('negativeSlope')],
  [has('mask'), has('lengths')],
  [has('window'), has('decay')],
  // They normalize by the statistics of all the micro-batches, and nothing else.
  [has('virtualBatchSize'), microBatches],
  [has('renorm'), microBatches],
  [has('positiveScale'), microBatches],
  [has('activation'), microBatches],
  // The batches of all ranks are one.
  [has('virtualBatchSize'), synchronized],
  [microBatches, synchronized],
  [explained, synchronized],
  // Their outputs are all there at the same time.
  [is('reuse', true), microBatches],
  // Of a client of pool; moments know their count.
  [has('moments'), has('state')],
  [has('moments'), has('count')],
]

/** @throws TypeError that names two options that exclude each other */
export function assertAgreeing(given: Given): void {
  for (const [one, other] of pairs) {
    if (one.in(given) && other.in(given)) throw contradiction(one.title, other.title)
  }
}
