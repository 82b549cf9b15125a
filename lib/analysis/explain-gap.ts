import { invalidType, invalidValue } from '../checks/errors.ts'
import { optionNames, optionsObject } from '../checks/options.ts'
import type { FloatTensorLike } from '../checks/tensors.ts'
import type { AnyBatchNorm } from '../modules/batch-norm.ts'
import { type Batches, networkCall, recordAll } from '../moments/network-call.ts'
import { normOf } from './gap/norm.ts'
import { InputRecorder } from './gap/recorder.ts'
import { type GapReport, gapReport } from './gap/report.ts'

/** Options of `explainGap`. */
export interface ExplainGapOptions {
  /** What the reports call the modules, in their order. Default: what each prints as. */
  names?: readonly string[]
}

const names = optionNames<ExplainGapOptions>({ names: true })

/**
 * Why a batch norm is good in training and bad in eval: how far its outputs in the two modes are apart for these
 * batches, what would remain of that after `recalibrate`, and which causes explain how much of it, each computed, with
 * its figures and its remedy. It changes nothing: modes, switches, running statistics and counters are as they were, also
 * after an error.
 *
 * ```ts
 * const [report] = await explainGap(bn, batches)                                     // inputs of bn
 * const reports = await explainGap([bn1, bn2], batches, (batch) => model(batch))     // a network, which calls their forward
 * for (const line of reports.flatMap(gapLines)) console.log(line)
 * ```
 *
 * In a network the inputs of a module depend on the mode of those before it. Here the modules run in eval mode, as
 * deployed, and each is measured on the inputs that it gets then: so a module is not blamed for the gap of another
 * one before it, but what that one does to its inputs counts as their drift. Mend the first one first. Modules that are
 * not among `modules` are as the caller has set them.
 *
 * The gap is that of the normalized values, before weight, bias, residual and activation, in standard deviations of the
 * training output. Both modes are affine in x, so it follows from the moments of each batch, exactly: no output is
 * computed. `virtualBatchSize` and `renorm` are as in training.
 *
 * How sure a verdict is depends on several batches of the size of training: the scatter of their statistics is measured
 * over them, and that of the running statistics assumed to come from such batches.
 *
 * @param batches - inputs of the module, as many values in each as in training
 * @returns (resolves to) a report for each module, once each, in their order
 * @throws (rejects) TypeError for what is no batch norm, a lazy one without channels, a `SyncBatchNorm`, one that another
 * call has for itself, and for a `forward` with `mask`, `lengths` or `weights`; RangeError for a module that was given no
 * batch of more than one value a channel; and with what `batches`, `run` or a `forward` throws
 */
export async function explainGap(
  module: AnyBatchNorm,
  batches: Batches<FloatTensorLike>,
  options?: ExplainGapOptions,
): Promise<GapReport[]>
/**
 * The same for the modules of a network.
 *
 * @param batches - whatever `run` takes
 * @param run - sends a batch through the network, by `forward` or `forwardAsync` of the modules
 * @throws (rejects) as for one module
 */
export async function explainGap<Batch>(
  modules: AnyBatchNorm | readonly AnyBatchNorm[],
  batches: Batches<Batch>,
  run: (batch: Batch) => unknown,
  options?: ExplainGapOptions,
): Promise<GapReport[]>
export async function explainGap<Batch>(
  modules: AnyBatchNorm | readonly AnyBatchNorm[],
  batches: Batches<Batch>,
  runOrOptions?: ((batch: Batch) => unknown) | ExplainGapOptions,
  optionsAfterRun?: ExplainGapOptions,
): Promise<GapReport[]> {
  const call = networkCall(modules, batches, runOrOptions, optionsAfterRun)
  const { names: given } = optionsObject(call.options as ExplainGapOptions, names)
  const all = call.modules
  const titles = namesOf(given, all)
  // As they are before anything runs.
  const norms = all.map((module, index) => normOf(module, titles[index]))
  const recorders = all.map((module) => new InputRecorder(module))
  await recordAll(recorders, call)
  return norms.map((norm, index) => gapReport(norm, recorders[index]))
}

function namesOf(given: readonly string[] | undefined, modules: readonly AnyBatchNorm[]): readonly string[] {
  if (given === undefined) return modules.map(String)
  if (!Array.isArray(given) || !Array.from(given).every((name) => typeof name === 'string')) {
    throw invalidType('names', 'an array of strings', given)
  }
  if (given.length !== modules.length) {
    throw invalidValue('names', `as many as there are modules, ${modules.length},`, given)
  }
  return given
}
