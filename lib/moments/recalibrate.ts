import { optionNames, optionsObject } from '../checks/options.ts'
import type { FloatTensorLike } from '../checks/tensors.ts'
import { assertCollective, type Collective } from '../distributed/collective.ts'
import { type AnyBatchNorm, isBatchNorm } from '../modules/batch-norm.ts'
import { claimAll } from './claim.ts'
import { type Batches, networkCall, recordAll } from './network-call.ts'
import { Population } from './population.ts'
import { assertTurn, eachWidth, type Modules, type Turn, widthsOf } from './widths.ts'

/** Options of `recalibrate`. */
export interface RecalibrateOptions {
  /**
   * The workers among which the batches are divided: each gives its own, and all get the statistics of all, the same
   * bits. Default: that of the module, if it is a `SyncBatchNorm`. See `batchnorm/distributed`.
   */
  collective?: Collective
}

const names = optionNames<RecalibrateOptions>({ collective: true })

/**
 * Sets the running statistics to those of the population: of all the values of all the batches, as if
 * they were one batch. No batch is kept. The moving average of training lags behind the weights and
 * remembers some tens of batches; precise statistics after training, or after the weights were averaged,
 * quantized or moved to other data, are worth a pass over some of it (Wu and Johnson 2021, "Rethinking
 * 'Batch' in BatchNorm", https://arxiv.org/abs/2105.07576, section 3).
 *
 * ```ts
 * await recalibrate(bn, batches)                                    // inputs of bn
 * await recalibrate([bn1, bn2], batches, (batch) => model(batch))   // a network, which calls their forward
 * ```
 *
 * Values count alike, so a short last batch weighs less, and the variance between batches is in the
 * result. (`updateBn` averages the variances of the batches, each with the same weight, as PyTorch does.)
 *
 * In a network every module normalizes with the statistics of the batch that goes through while this
 * runs, whatever its mode, as in the paper: what a deeper module sees was normalized by those, not by the
 * statistics that come out. `virtualBatchSize` and `renorm` wait meanwhile. Modes and switches are restored.
 *
 * Afterwards `runningMean` is the mean, `runningVar` the variance that `storedVariance` says, and `numBatchesTracked` the
 * number of inputs, as after training on them. A batch that holds NaN or Infinity is left out with
 * `nonFinite: 'skip'`.
 *
 * @param batches - inputs of the module; with a collective there may be none on some ranks
 * @throws (rejects) TypeError for a module without running statistics, frozen, lazy without channels, or
 * in another call that needs it for itself, and for a `forward` with `mask`, `lengths` or `weights`; RangeError for a module
 * that was given no values, or one a channel, and, unless `nonFinite: 'propagate'`, for statistics that do
 * not fit; and with what `batches`, `run` or a `forward` throws. No module has changed then.
 */
export async function recalibrate(
  module: AnyBatchNorm,
  batches: Batches<FloatTensorLike>,
  options?: RecalibrateOptions,
): Promise<void>
/**
 * The same for the modules of a network.
 *
 * @param batches - whatever `run` takes
 * @param run - sends a batch through the network, by `forward` or `forwardAsync` of the modules
 * @throws (rejects) as for one module
 */
export async function recalibrate<Batch>(
  modules: AnyBatchNorm | readonly AnyBatchNorm[],
  batches: Batches<Batch>,
  run: (batch: Batch) => unknown,
  options?: RecalibrateOptions,
): Promise<void>
/**
 * The same for a network of many widths, each with batch norms of its own, in one pass over the batches (Yu and Huang
 * 2019, "Universally Slimmable Networks and Improved Training Techniques", https://arxiv.org/abs/1903.05134, section
 * 3.3): each batch is read once and sent through once for each width. The bits are those of one `recalibrate` a width.
 *
 * ```ts
 * await recalibrate({ '0.25': [narrow1, narrow2], '1': [wide1, wide2] }, batches, (batch, width) => network(batch, width))
 * ```
 *
 * @param widths - the modules of each width, by its name
 * @param run - sends a batch through the network at a width; leaves the batch as it is, for the next width
 * @throws (rejects) as for one module; TypeError for a module that stands in two widths, or is called at another than its
 * own, for its statistics would be a mixture. No module of any width has changed then.
 */
export async function recalibrate<Batch, Width extends string>(
  widths: Readonly<Record<Width, AnyBatchNorm | readonly AnyBatchNorm[]>>,
  batches: Batches<Batch>,
  run: (batch: Batch, width: Width) => unknown,
  options?: RecalibrateOptions,
): Promise<void>
export async function recalibrate<Batch>(
  given: Modules | Readonly<Record<string, Modules>>,
  batches: Batches<Batch>,
  runOrOptions?: ((batch: Batch, width: string) => unknown) | RecalibrateOptions,
  optionsAfterRun?: RecalibrateOptions,
): Promise<void> {
  const widths = widthsOf(given)
  const modules = isBatchNorm(given) ? given : widths.flatMap((width) => width.modules)
  const call = networkCall(
    modules,
    batches,
    runOrOptions as ((batch: Batch) => unknown) | RecalibrateOptions | undefined,
    optionsAfterRun,
  )
  const { collective } = optionsObject(call.options as RecalibrateOptions, names)
  if (collective !== undefined) assertCollective('collective', collective)
  const turn: Turn = { now: null }
  const observers = widths.flatMap(({ name, modules }) =>
    modules.map((module) => new Population(module, collective, () => assertTurn(module, name, turn))),
  )
  const release = claimAll(call.modules, 'recalibrate()')
  try {
    await recordAll(observers, { batches, run: call.run && eachWidth(widths, call.run, turn) })
    for (const observer of observers) await observer.gather()
    // All are checked before the first is written.
    const writes = observers.map((observer) => observer.result())
    for (const write of writes) write()
  } finally {
    release()
  }
}
