import { assertAgreeing } from '../checks/contradictions.ts'
import { optionNames, optionsObject } from '../checks/options.ts'
import { fraction, positiveInteger } from '../checks/scalars.ts'
import type { AnyBatchNorm } from '../modules/batch-norm.ts'
import { type AdaptOptions, priorOf } from './adapt.ts'
import { StreamAdaptation } from './adaptation.ts'
import { Adapted } from './adapted.ts'
import { claimAll } from './claim.ts'
import { assertTracking, modulesOf } from './network-call.ts'
import type { Seen } from './seen.ts'
import { Fading, LastBatches, type Target } from './target.ts'

/** Options of `withAdaptation`. */
export interface WithAdaptationOptions extends AdaptOptions {
  /** How many inputs the target is, the last one among them. Default 1: each input adapts by itself, as in the paper. */
  window?: number
  /** What an input weighs less with each one that comes after it, from 0 to 1, in place of a window. */
  decay?: number
}

const names = optionNames<WithAdaptationOptions>({ prior: true, window: true, decay: true })

/**
 * `adapt` for a stream that goes on: from now on every forward in eval mode first takes its input into the target, and
 * then normalizes it with source and target blended, until `undo`.
 *
 * ```ts
 * const adaptation = withAdaptation([bn1, bn2], { prior: 16, window: 8 })   // or decay: 0.9
 * const y = model(x)                                                       // adapts to x and the 7 inputs before
 * adaptation.reset()                                                       // another domain: from the source again
 * adaptation.undo()
 * ```
 *
 * The target is the last `window` inputs, whose moments are merged anew each time, or all of them, with counts that
 * each further input multiplies by `decay`. Either keeps as much after weeks as after a day, and loses no digits.
 *
 * - *Which inputs*: those that the running statistics normalize, by `forward` and `forwardAsync`, so those of a frozen
 *   module in training mode too. What the batch's statistics normalize (`useBatchStats: true`) is not taken. A forward
 *   that would move the running statistics is an error, and so is one after they were changed by something else.
 * - `forwardAsync`: an input is taken, and the blend made, when the call starts; any number may be under way.
 * - *Of an input*: what `mask` and `lengths` let count. One without values is not taken. One that makes the
 *   target's statistics NaN or infinite, or too large for their type, is an error that names the channels with
 *   `nonFinite: 'throw'`; otherwise it is normalized as the inputs before were, and not taken.
 * - Until there are two values a channel, the source alone normalizes.
 * - The modules are in no other `adapt`, `recalibrate` or `updateBn` until `undo`.
 *
 * @param modules - one, or those of a network
 * @throws TypeError for a module without running statistics, lazy without channels, or in another call that needs it
 * for itself, and for `window` with `decay`; TypeError or RangeError for an option that does not fit. After an error
 * nothing has changed.
 */
export function withAdaptation(
  modules: AnyBatchNorm | readonly AnyBatchNorm[],
  options: WithAdaptationOptions,
): StreamAdaptation {
  const { prior, window, decay } = optionsObject(options, names)
  priorOf(prior)
  const begin = targetOf(window, decay)
  const each = modulesOf(modules)
  for (const module of each) assertTracking(module, 'there is nothing to adapt')
  const release = claimAll(each, 'withAdaptation()')
  try {
    const adapted = each.map((module) => new Adapted(module, prior, begin))
    for (const { source } of adapted) source.assertWritable()
    return new StreamAdaptation(adapted, release)
  } catch (error) {
    release()
    throw error
  }
}

function targetOf(window: number | undefined, decay: number | undefined): (first: Seen) => Target {
  assertAgreeing({ window, decay })
  if (decay !== undefined) {
    fraction('decay', decay)
    return ({ samples, moments }) => new Fading(decay, samples, moments.total())
  }
  const size = positiveInteger('window', window ?? 1)
  return (first) => new LastBatches(size, [first])
}
