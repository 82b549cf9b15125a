/**
 * Work that is told once and done in two ways: here and now, or call by call on another thread. It is
 * a generator that yields the calls of the backend that take long.
 */
import type { Backend } from '../../backend/backend.ts'
import { currentBackend } from '../../backend/load.ts'

/** A call of the backend, on this thread or on another one. */
export interface Step {
  here(): unknown
  away(): Promise<unknown>
}

export type Steps<Result = void> = Generator<Step, Result, unknown>

/** Does all the work here and now. */
export function here<Result>(steps: Steps<Result>): Result {
  let next = steps.next()
  while (!next.done) next = steps.next(next.value.here())
  return next.value
}

/** Does the work with the long calls on another thread, where the backend has one. */
export async function away<Result>(steps: Steps<Result>): Promise<Result> {
  let next = steps.next()
  while (!next.done) next = steps.next(await next.value.away())
  return next.value
}

export function* statistics(...call: Parameters<Backend['statistics']>): Steps {
  yield {
    here: () => currentBackend().statistics(...call),
    away: () => currentBackend().statisticsAsync(...call),
  }
}

export function* normalize(...call: Parameters<Backend['normalize']>): Steps {
  yield {
    here: () => currentBackend().normalize(...call),
    away: () => currentBackend().normalizeAsync(...call),
  }
}

export function* forward(...call: Parameters<Backend['forward']>): Steps<boolean> {
  const fits = yield {
    here: () => currentBackend().forward(...call),
    away: () => currentBackend().forwardAsync(...call),
  }
  return fits as boolean
}

/**
 * Without an activation the gradient of a residual is `gradOutput` itself, which no backend copies. It
 * goes there first: `gradOutput` may be overwritten then.
 */
export function* backward(...call: Parameters<Backend['backward']>): Steps {
  const [gradOutput, , , , , , gradients, activated] = call
  if (!activated) gradients.residual?.set(gradOutput)
  yield {
    here: () => currentBackend().backward(...call),
    away: () => currentBackend().backwardAsync(...call),
  }
}
