/**
 * A process of node-api-faults.test.ts: `faulting.ts KIND MODE [OPERATION [FIRST]]`. Does every operation again and again while
 * the first, second, third ... call of Node-API, or allocation, of the addon fails, until none is left to fail. The
 * environment names the addon, that of .ci/build-with-faults.
 *
 * Each line of its output is an operation with the numbers that were tried; the last one is a `Report`, as JSON.
 */
import { randomBytes } from 'node:crypto'
import { writeSync } from 'node:fs'
import { setImmediate } from 'node:timers/promises'
import { isDeepStrictEqual, promisify } from 'node:util'
import { loadAddon } from '../../lib/backend/addon.ts'
import { useBackend } from '../../lib/index.ts'
import { type Attempt, type FaultyOperation, faultyOperations } from '../support/faulty-operations.ts'

/** In the order of native/test/faults/faults.cpp. */
const kinds = ['none', 'calls', 'exceptions', 'allocations'] as const
export type FaultKind = Exclude<(typeof kinds)[number], 'none'>
/** One call fails, or each from there on. */
export type FaultMode = 'once' | 'for good'

export interface Report {
  operations: number
  faults: number
  /** How many ended with an error; the others with the right bits. */
  errors: number
  /** Promises that nothing could settle. */
  untold: number
  problems: string[]
}

type Outcome = { readonly result: unknown } | { readonly error: unknown } | null

const [kind, mode, only, first = '1'] = process.argv.slice(2)
const { injectFaults } = loadAddon().addon as {
  /** What failed first since the last call; `undefined`: nothing. */
  injectFaults(kind: number, nth: number, isForGood: boolean): string | undefined
}

/** `null`: it was not settled, though all of its work on the other thread, of which there is one, was done. */
async function outcomeOf({ call }: Attempt): Promise<Outcome> {
  let outcome: Outcome = null
  const settled = (async () => call())().then(
    (result) => {
      outcome = { result }
    },
    (error: unknown) => {
      outcome = { error }
    },
  )
  for (let turn = 0; turn < 50 && outcome === null; turn++) {
    await Promise.race([settled, promisify(randomBytes)(1)])
    await setImmediate()
  }
  return outcome
}

/** What an operation does without faults. */
async function expectedOf(operation: FaultyOperation) {
  const attempt = operation()
  const result = await attempt.call()
  return { result, state: structuredClone(attempt.state()) }
}

/** What is wrong with an outcome; `null`: nothing. */
function problemOf(
  outcome: Outcome,
  state: unknown,
  expected: { result: unknown; state: unknown },
): string | null {
  if (outcome === null) return 'the promise is not settled'
  if ('error' in outcome) return `threw ${outcome.error}`
  if (!isDeepStrictEqual(outcome.result, expected.result)) return 'gave other bits'
  if (!isDeepStrictEqual(state, expected.state)) return 'left another state'
  return null
}

function problemOfError(error: unknown, state: unknown, before: unknown): string | null {
  if (!(error instanceof Error && error.message.startsWith('Expected '))) return `threw ${error}`
  if (!isDeepStrictEqual(state, before)) return `has changed something, and threw ${error}`
  return null
}

async function tryEach(name: string, operation: FaultyOperation, report: Report): Promise<void> {
  const expected = await expectedOf(operation)
  writeSync(1, `${name}:`)
  for (let nth = Number(first); ; nth++) {
    const attempt = operation()
    const before = structuredClone(attempt.state())
    writeSync(1, ` ${nth}`)
    injectFaults(kinds.indexOf(kind as FaultKind), nth, mode === 'for good')
    const outcome = await outcomeOf(attempt)
    const fault = injectFaults(0, 0, false)
    const note = (problem: string | null) => {
      if (problem !== null) report.problems.push(`${name}, ${nth} (${fault}): ${problem}`)
    }
    if (fault !== undefined) report.faults++
    let again = attempt
    if (outcome === null) {
      // Its module is busy for good.
      report.untold++
      again = operation()
    } else if (outcome !== null && 'error' in outcome) {
      report.errors++
      note(problemOfError(outcome.error, attempt.state(), before))
    } else {
      note(problemOf(outcome, attempt.state(), expected))
      again = operation()
    }
    const next = await outcomeOf(again)
    const problem = problemOf(next, again.state(), expected)
    note(problem && `the next call ${problem}`)
    if (fault === undefined) break
  }
  writeSync(1, '\n')
}

useBackend('native')
const report: Report = { operations: 0, faults: 0, errors: 0, untold: 0, problems: [] }
for (const [name, operation] of faultyOperations) {
  if (only !== undefined && name !== only) continue
  report.operations++
  await tryEach(name, operation, report)
}
writeSync(1, JSON.stringify(report))
