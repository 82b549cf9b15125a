/** Which method a forward takes, and which statistics: from the options of the module and of the call. */
import { singleValueError } from '../../checks/errors.ts'
import type { Collective } from '../../distributed/collective.ts'
import { product, valuesPerChannel } from '../../tensor/shape.ts'
import type { SingleValue } from '../options.ts'
import type { Method, Pass } from '../pass.ts'
import type { Counted } from './counted.ts'
import { cutIntoGroups, Ghost, type GhostBatch } from './ghost.ts'
import { Masked } from './masked.ts'
import { plain } from './plain.ts'
import { Ranks } from './ranks.ts'
import type { Renorm } from './renormalized.ts'
import { type OverRanks, Stepwise } from './stepwise.ts'
import { effectiveCount } from './weighted.ts'

/** What a forward is asked for. */
export interface Request {
  /** Whether the batch's statistics normalize. */
  readonly fromBatch: boolean
  /** Whether the running ones move. */
  readonly updatesRunning: boolean
  readonly singleValue: SingleValue
  /** How many samples a ghost batch has; `null`: there are none. */
  readonly virtualBatchSize: number | null
  readonly renorm: Renorm | null
  /** Which ranks have the other parts of the batch; `null`: all of it is here. */
  readonly synchronization: Synchronization | null
}

/** Whose batch a module normalizes with its own. */
export interface Synchronization {
  readonly collective: Collective
  /** What tells the module's collectives from those of others. */
  readonly layer: string
}

/** The rows of a pass - its `outer` samples, or what was gathered of them - and what they are worth. */
interface Rows {
  /** The sample that a row belongs to; it never falls from row to row. */
  sampleOf(row: number): number
  /** Of each row; `null`: all count alike. */
  readonly weights: Float64Array | null
}

/**
 * Sets which statistics normalize and whether the running ones move, where each channel has `values`
 * values: one says nothing about a variance, and none nothing at all.
 *
 * @param fix - what a single value may come from
 * @throws RangeError for a single value, unless `singleValue: 'running'`
 */
export function chooseStatistics(
  pass: Pass,
  values: number,
  fromBatch: boolean,
  updatesRunning: boolean,
  singleValue: SingleValue,
  fix = 'a last batch of 1? Drop it',
): void {
  if (values === 1 && (fromBatch || updatesRunning) && singleValue === 'throw') {
    throw singleValueError(
      pass.shape,
      pass.running ? `${fix}, or use the option singleValue: 'running'` : fix,
    )
  }
  pass.fromBatch = fromBatch && values > 1
  pass.updatesRunning = updatesRunning && values > 1
}

/**
 * Gives a pass its method, for all but the plain case. The batch is not empty, unless other ranks have parts of it.
 *
 * @throws RangeError for one value a channel, as `chooseStatistics`, and where nothing counts and there are
 * no running statistics to normalize with
 */
export function chooseMethod(pass: Pass, { positions, weights }: Counted, request: Request): void {
  const { extent, shape } = pass
  const positionsPerSample = valuesPerChannel(extent) / shape[0]
  const rowsPerSample = extent.outer / shape[0]
  if (positions === null) {
    pass.method = methodFor(
      pass,
      rowsOf(extent.outer, (row) => Math.floor(row / rowsPerSample), weights),
      request,
    )
  } else if (positions.length === 0 && request.synchronization === null) {
    useRunningAlone(pass)
  } else {
    const part = pass.part({ ...extent, outer: positions.length, inner: 1 })
    const sampleOf = (row: number) => Math.floor(positions[row] / positionsPerSample)
    part.method = methodFor(part, rowsOf(positions.length, sampleOf, weights), request)
    pass.method = new Masked(positions, part)
    pass.fromBatch = part.fromBatch
    pass.updatesRunning = part.updatesRunning
  }
}

function rowsOf(count: number, sampleOf: Rows['sampleOf'], weights: Float64Array | null): Rows {
  if (weights === null) return { sampleOf, weights }
  return { sampleOf, weights: Float64Array.from({ length: count }, (_, row) => weights[sampleOf(row)]) }
}

function methodFor(pass: Pass, rows: Rows, request: Request): Method {
  if (request.virtualBatchSize !== null && request.fromBatch) {
    return ghostFor(pass, rows, request, request.virtualBatchSize)
  }
  const steps = stepsFor(pass, rows.weights, request, 0)
  return steps.arePlain(pass) ? plain : steps
}

function ghostFor(pass: Pass, { sampleOf, weights }: Rows, request: Request, size: number): Ghost {
  const batches: GhostBatch[] = []
  let end = 0
  let moving = 0
  for (const lastSample of cutIntoGroups(pass.shape[0], size)) {
    const begin = end
    while (end < pass.extent.outer && sampleOf(end) < lastSample) end++
    if (begin === end) continue
    const part = pass.part({ ...pass.extent, outer: end - begin })
    const method = stepsFor(
      part,
      weights?.subarray(begin, end) ?? null,
      request,
      moving,
      'a ghost batch of 1',
    )
    if (part.updatesRunning) moving++
    batches.push({ begin, end, pass: part, method })
  }
  pass.fromBatch = batches.some((batch) => batch.pass.fromBatch)
  pass.updatesRunning = moving > 0
  return new Ghost(batches)
}

/** @param batchesBefore - of this call, that will have moved the running statistics by then */
function stepsFor(
  pass: Pass,
  weights: Float64Array | null,
  request: Request,
  batchesBefore: number,
  fix?: string,
): Stepwise {
  const { fromBatch, updatesRunning, singleValue, renorm, synchronization } = request
  if (synchronization !== null) return stepsOverRanks(pass, weights, request, synchronization)
  // An effective number that float32 cannot tell from 1 leaves no digits of n - 1.
  const values =
    weights === null ? valuesPerChannel(pass.extent) : Math.fround(effectiveCount(weights, pass.extent))
  if (values === 0) useRunningAlone(pass)
  else chooseStatistics(pass, values, fromBatch, updatesRunning, singleValue, fix)
  const areEqual = weights === null || weights.every((weight) => weight === weights[0])
  const limits = pass.fromBatch && renorm !== null ? renorm.limitsAt(stepOf(pass) + batchesBefore) : null
  return new Stepwise(areEqual ? null : weights, limits)
}

/** What values there are is known after the moments of all ranks are. */
function stepsOverRanks(
  pass: Pass,
  weights: Float64Array | null,
  { fromBatch, updatesRunning, singleValue, renorm }: Request,
  { collective, layer }: Synchronization,
): Stepwise {
  const ranks = new Ranks(collective, layer, product(pass.shape) === 0, weights)
  pass.fromBatch = fromBatch
  pass.updatesRunning = updatesRunning
  const limits = fromBatch && renorm !== null ? renorm.limitsAt(stepOf(pass)) : null
  const choose: OverRanks['choose'] = (pass, repeats) => {
    if (ranks.areEmpty) {
      if (pass.updatesRunning && !repeats) pass.running?.countOne()
      pass.fromBatch = false
      pass.updatesRunning = false
    } else if (ranks.count === 0) useRunningAlone(pass)
    else {
      const values = ranks.shares === null ? ranks.count : Math.fround(ranks.count)
      const fix = 'a last batch of 1 over all ranks? Drop it'
      chooseStatistics(pass, values, fromBatch, updatesRunning, singleValue, fix)
    }
  }
  return new Stepwise(weights, limits, { ranks, choose })
}

/** Where the schedule of `renorm` is. */
function stepOf({ running }: Pass): number {
  return Number(running?.renormSteps?.data[0] ?? 0)
}

/** Nothing counts: the running statistics normalize, and nothing changes. */
function useRunningAlone(pass: Pass): void {
  if (pass.running === null) {
    throw new RangeError(
      'Expected mask, lengths and weights to let at least one value count but received none, and there are no ' +
        'running statistics to normalize with (skip such a batch, or leave out trackRunningStats: false)',
    )
  }
  pass.nothingCounts = true
  pass.fromBatch = false
  pass.updatesRunning = false
}
