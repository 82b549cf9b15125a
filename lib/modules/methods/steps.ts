/**
 * Work that is told once and done in two ways: on this thread, or call by call on another one. It is a
 * generator that yields the calls of the backend that take long, as data, and is given their results.
 */
import type { Backend } from '../../backend/backend.ts'
import { currentBackend } from '../../backend/load.ts'
import { whileInFlight } from '../../checks/in-flight.ts'
import type { Collective } from '../../distributed/collective.ts'
import { Loan, type MaybeArray } from './loan.ts'

type LongCall = 'statistics' | 'normalize' | 'forward' | 'backward' | 'gradientSums' | 'inputGradient'

/** A call of the backend: its name and its arguments. */
interface BackendStep {
  readonly name: LongCall
  readonly call: readonly unknown[]
}

/** A sum over all ranks, written into `values`, which no caller can reach. */
interface CollectiveStep {
  readonly collective: Collective
  readonly values: Float64Array
  readonly key: string
}

export type Step = BackendStep | CollectiveStep

export type Steps<Result = void> = Generator<Step, Result, unknown>

type AnyCall = (...call: readonly unknown[]) => unknown

/** Does all the work on this thread. */
export function runSync<Result>(steps: Steps<Result>): Result {
  const backend = currentBackend()
  const take = (step: Step): unknown => {
    if ('collective' in step) return step.collective.allReduceSum(step.values, step.key)
    return (backend[step.name] as AnyCall)(...step.call)
  }
  let next = steps.next()
  while (!next.done) {
    next = steps.next(take(next.value))
  }
  return next.value
}

/**
 * Does the work with the long calls on another thread, where the backend has one.
 *
 * @param read - what a caller can reach of the arrays that the work reads; `written`: of those that it writes
 */
export async function runAsync<Result>(
  steps: Steps<Result>,
  read: readonly MaybeArray[],
  written: readonly MaybeArray[],
): Promise<Result> {
  const loan = new Loan(read, written)
  const take = (step: Step): Promise<unknown> => {
    if ('collective' in step) return step.collective.allReduceSumAsync(step.values, step.key)
    const start = currentBackend()[`${step.name}Async`] as (...call: readonly unknown[]) => Promise<unknown>
    return loan.lend(step.call, (lent) => start(...lent))
  }
  return whileInFlight(read, written, async () => {
    try {
      let next = steps.next()
      while (!next.done) {
        next = steps.next(await take(next.value))
      }
      return next.value
    } catch (error) {
      loan.assertThere()
      throw error
    }
  })
}

export function* statistics(...call: Parameters<Backend['statistics']>): Steps {
  yield { name: 'statistics', call }
}

export function* normalize(...call: Parameters<Backend['normalize']>): Steps {
  yield { name: 'normalize', call }
}

export function* gradientSums(...call: Parameters<Backend['gradientSums']>): Steps {
  yield { name: 'gradientSums', call }
}

/** As `backward`, for the gradient of a residual. */
export function* inputGradient(...call: Parameters<Backend['inputGradient']>): Steps {
  const [gradOutput, , , , , , , gradients, activated] = call
  if (!activated) gradients.residual?.set(gradOutput)
  yield { name: 'inputGradient', call }
}

export function* allReduceSum(collective: Collective, values: Float64Array, key: string): Steps {
  yield { collective, values, key }
}

export function* forward(...call: Parameters<Backend['forward']>): Steps<boolean> {
  return (yield { name: 'forward', call }) as boolean
}

/**
 * Without an activation the gradient of a residual is `gradOutput` itself, which no backend copies. It
 * goes there first: `gradOutput` may be overwritten then.
 */
export function* backward(...call: Parameters<Backend['backward']>): Steps {
  const [gradOutput, , , , , , gradients, activated] = call
  if (!activated) gradients.residual?.set(gradOutput)
  yield { name: 'backward', call }
}
