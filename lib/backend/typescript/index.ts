/**
 * The TypeScript backend: the specification of the arithmetic, written to be read. float32
 * operations are float64 operations rounded by `Math.fround` (or by the store into a
 * `Float32Array`), which gives IEEE 754's float32 result exactly for + - * / and sqrt, because
 * 53 >= 2 * 24 + 2 (Figueroa 1995, "When is double rounding innocuous?").
 */
import { setImmediate } from 'node:timers/promises'
import type { Backend } from '../backend.ts'
import { backward } from './backward.ts'
import { forward } from './forward.ts'
import { merge } from './moments.ts'
import { normalize } from './normalize.ts'
import { evalStatistics, updateRunning } from './running.ts'
import { statistics } from './statistics.ts'

export const typescriptBackend: Backend = {
  name: 'typescript',
  statistics,
  merge,
  updateRunning,
  evalStatistics,
  normalize,
  forward,
  backward,
  normalizeAsync: inTurn(normalize),
  forwardAsync: inTurn(forward),
  backwardAsync: inTurn(backward),
}

/** There is no other thread here: the work is done in a turn of the event loop of its own. */
function inTurn<Call extends unknown[], Result>(work: (...call: Call) => Result) {
  return async (...call: Call): Promise<Result> => {
    await setImmediate()
    return work(...call)
  }
}
