import type { FloatTensorLike } from '../checks/tensors.ts'
import type { AnyBatchNorm } from '../modules/batch-norm.ts'
import { Average } from './average.ts'
import { claimAll } from './claim.ts'
import { assertRun, type Batches, networkCall, recordAll } from './network-call.ts'

/**
 * Sets the running statistics to the average of those of the batches, each of which weighs the same, for weights
 * that were averaged themselves (SWA, EMA) and never saw a batch. It is `torch.optim.swa_utils.update_bn`
 * (https://pytorch.org/docs/stable/optim.html#torch.optim.swa_utils.update_bn; Izmailov et al. 2018,
 * https://arxiv.org/abs/1803.05407): running statistics are forgotten, and `momentum` is null meanwhile, whatever
 * the module says.
 *
 *     runningMean = the mean of the batches' means
 *     runningVar  = the mean of their variances, the unbiased ones unless `storedVariance` says otherwise
 *
 * ```ts
 * await updateBn(bn, batches)                                    // inputs of bn
 * await updateBn([bn1, bn2], batches, (batch) => model(batch))   // a network, which calls their forward
 * ```
 *
 * `recalibrate` is better where nobody compares: its variance is that of all values, with what the batches differ by,
 * and a short last batch weighs what its values weigh. `updateBn` gives the numbers of PyTorch, and those that training
 * with batches of this size leads to.
 *
 * Every module normalizes with the statistics of the batch that goes through, as in training, whatever its mode;
 * `virtualBatchSize` and `renorm` wait. Frozen modules and those without running statistics are left alone: where there
 * are no others, no batch is taken. The average is computed in float64 and rounded once. `numBatchesTracked` is the
 * number of batches afterwards; one without values is none, nor is what `nonFinite: 'skip'` or
 * `singleValue: 'running'` leaves out. A `SyncBatchNorm` averages the batches of all ranks.
 *
 * @param batches - inputs of the module
 * @throws (rejects) TypeError for a module that is lazy without channels, or in another call that needs it for itself, and
 * for a `forward` with `mask`, `lengths` or `weights`; RangeError for a module that no batch moved, for one value a
 * channel, and for what `nonFinite: 'throw'` names; and with what `batches`, `run` or a `forward` throws. No module has
 * changed then.
 */
export async function updateBn(module: AnyBatchNorm, batches: Batches<FloatTensorLike>): Promise<void>
/**
 * The same for the modules of a network.
 *
 * @param batches - whatever `run` takes
 * @param run - sends a batch through the network, by `forward` or `forwardAsync` of the modules
 * @throws (rejects) as for one module
 */
export async function updateBn<Batch>(
  modules: AnyBatchNorm | readonly AnyBatchNorm[],
  batches: Batches<Batch>,
  run: (batch: Batch) => unknown,
): Promise<void>
export async function updateBn<Batch>(
  modules: AnyBatchNorm | readonly AnyBatchNorm[],
  batches: Batches<Batch>,
  run?: (batch: Batch) => unknown,
): Promise<void> {
  if (run !== undefined) assertRun(run)
  const call = networkCall(modules, batches, run, undefined)
  const moving = call.modules.filter((module) => !module.frozen && module.trackRunningStats)
  const observers = moving.map((module) => new Average(module))
  if (observers.length === 0) return
  const release = claimAll(moving, 'updateBn()')
  try {
    await recordAll(observers, call)
    for (const observer of observers) await observer.gather()
    // All are checked before the first is written.
    const writes = observers.map((observer) => observer.result())
    for (const write of writes) write()
  } finally {
    release()
  }
}
