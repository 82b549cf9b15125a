import { invalidType, invalidValue } from '../checks/errors.ts'
import { optionNames, optionsObject } from '../checks/options.ts'
import type { FloatTensorLike } from '../checks/tensors.ts'
import type { AnyBatchNorm } from '../modules/batch-norm.ts'
import { Adaptation } from './adaptation.ts'
import { Adapted } from './adapted.ts'
import { claimAll } from './claim.ts'
import { assertTracking, type Batches, networkCall, recordAll } from './network-call.ts'
import { Everything } from './target.ts'

/** Options of `adapt`. */
export interface AdaptOptions {
  /**
   * How many samples the source counts for: 0 forgets it, Infinity does not adapt at all. As many as there are samples
   * of the target weigh the same.
   */
  prior: number
}

const names = optionNames<AdaptOptions>({ prior: true })

/**
 * Adapts the running statistics to another domain, the target, by some of its inputs without labels (Schneider et
 * al. 2020, "Improving robustness against common corruptions by covariate shift adaptation",
 * https://arxiv.org/abs/2006.16971, section 3):
 *
 *     mean     = (N * meanSource + n * meanTarget) / (N + n)
 *     variance = (N * varianceSource + n * varianceTarget) / (N + n)
 *
 * ```ts
 * const adaptation = await adapt(bn, batches, { prior: 16 })                                  // inputs of bn
 * const adaptation = await adapt([bn1, bn2], batches, (x) => model(x), { prior: 16 })         // a network
 * adaptation.undo()                                                                           // the source again
 * ```
 *
 * - *N and n count samples*, the first axis of an input, as the paper counts images: the same in every layer of a
 *   network, whatever its positions. (Values a channel would let a layer of 56 x 56 positions forget its source 64
 *   times as fast as one of 7 x 7.) N is `prior`. A sample of which `mask` or `lengths` let nothing count is none.
 * - *The variance* is a convex combination, as in the paper, of the ones that `runningVar` stores: the unbiased ones, by default.
 *   That of the union would have N n / (N + n)^2 (meanSource - meanTarget)^2 more. That is what the domains differ by,
 *   which no sample of the target does: it would make the target's outputs small just where the domains are far apart.
 * - *The source* is what the running statistics were before the first adaptation, until it is undone: to adapt again blends
 *   anew from it, never from what was adapted. Running statistics that were changed since (trained, loaded) are a new
 *   source. `numBatchesTracked` stays. `stateDict()` holds what normalizes now: to save the source, undo first.
 * - *In a network* every module normalizes in eval mode meanwhile, with source and target blended so far, the batch that
 *   goes through among them. So a deeper module sees what it will see: with one batch exactly, as in the paper;
 *   with more, what the first ones made of the layers before is among it. Statistics of the batch alone, as in
 *   `recalibrate`, would be those of no later forward here, the less the more the source counts. Modes and switches
 *   are restored.
 * - *A frozen module* is adapted too. `freeze()` keeps training from moving the statistics; here they are asked for by name.
 * - A batch that would make the target's statistics NaN or infinite, or too large for their type, is left out, or with
 *   `nonFinite: 'throw'` an error that names the channels. (Eval mode spreads a NaN no further than its own value; in
 *   running statistics it would stay.)
 * - `SyncBatchNorm`: each rank adapts to the inputs that it sees.
 *
 * @param batches - inputs of the module
 * @param options - `prior`, which has no default: it is what the target's number of samples is measured by
 * @returns what undoes it
 * @throws (rejects) TypeError for a module without running statistics, lazy without channels, or in another call that
 * needs it for itself, and for a `forward` with `weights`; RangeError for a module that was given no values, or one a
 * channel; and with what `batches`, `run` or a `forward` throws. No running statistics have changed then.
 */
export async function adapt(
  module: AnyBatchNorm,
  batches: Batches<FloatTensorLike>,
  options: AdaptOptions,
): Promise<Adaptation>
/**
 * The same for the modules of a network.
 *
 * @param batches - whatever `run` takes
 * @param run - sends a batch through the network, by `forward` or `forwardAsync` of the modules
 * @returns what undoes it
 * @throws (rejects) as for one module
 */
export async function adapt<Batch>(
  modules: AnyBatchNorm | readonly AnyBatchNorm[],
  batches: Batches<Batch>,
  run: (batch: Batch) => unknown,
  options: AdaptOptions,
): Promise<Adaptation>
export async function adapt<Batch>(
  modules: AnyBatchNorm | readonly AnyBatchNorm[],
  batches: Batches<Batch>,
  runOrOptions: ((batch: Batch) => unknown) | AdaptOptions,
  optionsAfterRun?: AdaptOptions,
): Promise<Adaptation> {
  const call = networkCall(modules, batches, runOrOptions, optionsAfterRun)
  const { prior } = optionsObject(call.options as AdaptOptions, names)
  priorOf(prior)
  for (const module of call.modules) assertTracking(module, 'there is nothing to adapt')
  const release = claimAll(call.modules, 'adapt()')
  const adapted = call.modules.map((module) => new Adapted(module, prior, (first) => new Everything(first)))
  const goBack = adapted.map(({ source }) => source.saved())
  try {
    await recordAll(adapted, call)
    for (const each of adapted) each.assertAdapted()
  } catch (error) {
    for (const undo of goBack) undo()
    throw error
  } finally {
    release()
  }
  return new Adaptation(adapted.map(({ source }) => source))
}

/** How many samples the source counts for. */
export function priorOf(prior: number): number {
  const expected = 'a number, at least 0, or Infinity,'
  if (typeof prior !== 'number') throw invalidType('prior', expected, prior)
  if (!(prior >= 0)) throw invalidValue('prior', expected, prior)
  return prior
}
