import { invalidType } from '../../checks/errors.ts'
import { optionNames, optionsObject } from '../../checks/options.ts'
import { oneOf } from '../../checks/scalars.ts'
import { type Batches, isIterable } from '../../moments/network-call.ts'
import { type OnnxFeeds, Running } from './feeds.ts'
import { GraphEdit } from './graph-edit.ts'
import { modelToEdit } from './nodes.ts'
import { type NormalizesWith, observedModel, observedName } from './observed-model.ts'
import { type RecalibratedNode, RecalibratedNorm } from './recalibrated-norm.ts'
import type { OnnxRuntime } from './runtime.ts'
import { encodeModel } from './schema.ts'
import { fromOrt } from './tensors.ts'
import { turnsOf } from './turns.ts'

/** Options of `recalibrateOnnx`. */
export interface RecalibrateOnnxOptions {
  /**
   * What a batch norm normalizes with meanwhile, which is what those after it see. `'batch'`, the default, as in
   * `recalibrate`: the statistics of the batch, in one pass. `'running'`: the new running statistics, as in the model
   * that comes out; one pass for each batch norm of the longest path through the model, and small batches do.
   */
  normalizeWith?: NormalizesWith
  /** Options of `ort.InferenceSession.create`, such as `executionProviders`. */
  session?: object
}

const names = optionNames<RecalibrateOnnxOptions>({ normalizeWith: true, session: true })

/** A model with other running statistics. */
export interface RecalibratedOnnx {
  /** The .onnx file with the new statistics; all else is as it was. */
  readonly model: Uint8Array
  /** What happened to each batch norm of the model. */
  readonly nodes: readonly RecalibratedNode[]
  /** What is to be known of the result, in sentences. Empty if nothing is. */
  readonly notes: readonly string[]
}

/**
 * Sets the running statistics of every batch norm of an .onnx file to those of the population: of all values of all
 * batches, as if they were one batch. ONNX Runtime runs the model; no training framework is needed. It is worth a pass
 * after weights were averaged, pruned or quantized, and before a model meets other data (Wu and Johnson 2021,
 * https://arxiv.org/abs/2105.07576, section 3).
 *
 * ```ts
 * import * as ort from 'onnxruntime-node'
 *
 * const { model, nodes } = await recalibrateOnnx(readFileSync('model.onnx'), ort, batches)
 * writeFileSync('recalibrated.onnx', model)
 * ```
 *
 * The mean and the unbiased variance of each channel, as `recalibrate` and PyTorch have it, computed in float64 and
 * rounded once to the type that the model stores. They are written into the initializers that hold them. Where that is
 * a constant of another kind (`Constant`, `Identity` and their like, a sparse tensor), or others take it too, the
 * node has initializers of its own afterwards, which the report names: nodes that shared their statistics have each
 * its own.
 *
 * @param ort - the package, `onnxruntime-node` or `onnxruntime-web`
 * @param batches - feeds of the model: an object of tensors by the names of its inputs, or the tensor of its only one;
 * tensors of ONNX Runtime or ours. Empty ones are left out. With `normalizeWith: 'running'` they are gone through
 * again and again: an array, or an object whose iterator starts anew
 * @throws (rejects) TypeError or RangeError for bytes that are no ONNX model, a model without a batch norm, statistics
 * that are computed at run time, external data, batches that do not fit or have no two values a channel, and
 * statistics that are not finite in the type of the model; and with what `batches` or ONNX Runtime throws
 */
export async function recalibrateOnnx(
  model: Uint8Array,
  ort: OnnxRuntime,
  batches: Batches<OnnxFeeds>,
  options: RecalibrateOnnxOptions = {},
): Promise<RecalibratedOnnx> {
  const { normalizeWith = 'batch', session = {} } = optionsObject(options, names)
  oneOf('normalizeWith', normalizeWith, ['batch', 'running'])
  if (!isIterable(batches)) throw invalidType('batches', 'an iterable of batches', batches)
  const { decoded, found, inner } = modelToEdit(model)
  const edit = new GraphEdit(decoded)
  const norms = found.map((each) => new RecalibratedNorm(each, edit.constants))
  const turns = normalizeWith === 'batch' ? [norms] : turnsOf(decoded.graph, norms)
  if (turns.length > 1 && 'next' in batches) {
    const fix = 'give an array, or an object whose iterator starts anew'
    throw invalidType('batches', `what can be gone through ${turns.length} times`, batches, fix)
  }
  const nodes = new Map<RecalibratedNorm, RecalibratedNode>()
  let bytes = model
  for (const [index, turn] of turns.entries()) {
    const running = await Running.start(observedModel(bytes, norms, turn, normalizeWith), ort, session)
    await running.through(batches, (outputs) => {
      for (const norm of turn) norm.record(fromOrt(outputs[observedName(norm)]))
    })
    for (const norm of turn) nodes.set(norm, norm.write(edit))
    if (index < turns.length - 1) bytes = encodeModel(decoded)
  }
  edit.finish()
  // Nothing that is recalibrated comes after the last one.
  const followed = normalizeWith === 'batch' ? norms.slice(0, -1) : []
  const notes = [...followed.flatMap((norm) => norm.notes()), ...(inner === '' ? [] : [inner])]
  return {
    model: encodeModel(decoded),
    nodes: norms.map((norm) => nodes.get(norm) as RecalibratedNode),
    notes,
  }
}
