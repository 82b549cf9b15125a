import { contradiction } from '../../checks/errors.ts'
import { optionNames, optionsObject } from '../../checks/options.ts'
import { channelAffine } from '../../fold/eval-affine.ts'
import { foldedWeights } from '../../fold/fold-into-previous.ts'
import { floatOf } from './attributes.ts'
import type { OnnxFeeds } from './feeds.ts'
import { GraphEdit } from './graph-edit.ts'
import { largestOutputError } from './largest-output-error.ts'
import { layerBefore, orUnfoldable, Unfoldable } from './layer-before.ts'
import { type FoundNode, modelToEdit } from './nodes.ts'
import { trainingOf } from './operator-sets.ts'
import type { OnnxRuntime } from './runtime.ts'
import { encodeModel } from './schema.ts'
import { roundedTo } from './stored-tensor.ts'
import { vectorsOf } from './vectors.ts'

/** Options of `foldOnnx`. */
export interface FoldOnnxOptions {
  /** The package of ONNX Runtime, which runs the probe. */
  ort?: OnnxRuntime
  /** Feeds of the model, as a batch of `recalibrateOnnx`, on which the largest error is measured. */
  probe?: OnnxFeeds
}

const names = optionNames<FoldOnnxOptions>({ ort: true, probe: true })

/** A model without the batch norms that could be folded. */
export interface FoldedOnnx {
  /** The .onnx file without the batch norms that could go. */
  readonly model: Uint8Array
  /** Those that are gone, and the layers that do what they did; names as `findOnnxBatchNorms` gives them. */
  readonly folded: readonly { readonly name: string; readonly into: string }[]
  /** Those that stay, and why. */
  readonly left: readonly { readonly name: string; readonly why: string }[]
  /** What is to be known of the result, in sentences. Empty if nothing is. */
  readonly notes: readonly string[]
  /**
   * `max |folded - before|` over all outputs of floating point, both run by ONNX Runtime without its own optimizations,
   * which fold too. `null` without a probe.
   */
  readonly largestError: number | null
}

/**
 * Folds batch norms of an .onnx file into the Conv, ConvTranspose, Gemm or MatMul before them, with an Add of a constant
 * in between or not. As `foldIntoPrevious`: computed in float64 and rounded once to the type of the weight.
 *
 * ```ts
 * const { model, folded, left } = await foldOnnx(readFileSync('model.onnx'))
 * ```
 *
 * A batch norm stays, and the result says why, where it normalizes with the batch, where the layer's output is taken
 * elsewhere too or is an output of the model, where a parameter is computed at run time (as quantized ones are), and where
 * the result does not fit the type. A weight that others take too stays as it is for them.
 *
 * @throws (rejects) TypeError or RangeError for bytes that are no ONNX model, a model without a batch norm, external
 * data, and a probe without `ort`; and with what ONNX Runtime throws
 */
export async function foldOnnx(model: Uint8Array, options: FoldOnnxOptions = {}): Promise<FoldedOnnx> {
  const { ort, probe } = optionsObject(options, names)
  if ((ort === undefined) !== (probe === undefined)) {
    throw ort ? contradiction('ort', 'no probe') : contradiction('probe', 'no ort')
  }
  const { decoded, found, inner } = modelToEdit(model)
  const edit = new GraphEdit(decoded)
  const folded: { name: string; into: string }[] = []
  const left: { name: string; why: string }[] = []
  for (const each of found) {
    const { name } = each
    try {
      folded.push({ name, into: foldOne(edit, each) })
    } catch (error) {
      if (!(error instanceof Unfoldable)) throw error
      left.push({ name, why: error.message })
    }
  }
  edit.finish()
  const bytes = encodeModel(decoded)
  const largestError = ort && probe ? await largestOutputError(model, bytes, ort, probe) : null
  return { model: bytes, folded, left, notes: inner === '' ? [] : [inner], largestError }
}

/**
 * @returns the name of the layer
 * @throws Unfoldable for one that stays; nothing has changed then
 */
function foldOne(edit: GraphEdit, found: FoundNode): string {
  const { name, node: norm, version, rank } = found
  const { node, title, add, weight, layer } = layerBefore(edit, found)
  if (orUnfoldable(() => trainingOf(name, norm, version, rank ?? weight.dims.length))) {
    throw new Unfoldable('it normalizes with the batch')
  }
  const [scale, B, mean, variance] = orUnfoldable(() => vectorsOf(found, edit.constants))
  if (scale.values.length !== layer.outputs) {
    throw new Unfoldable(`it has ${scale.values.length} channels, and ${title} ${layer.outputs} outputs`)
  }
  const affine = channelAffine({
    mean: mean.values,
    variance: variance.values,
    weight: scale.values,
    bias: B.values,
    eps: floatOf(norm, 'epsilon', Math.fround(1e-5)),
  })
  const exact = foldedWeights(layer, affine)
  const { dataType } = weight
  const stayFinite = (values: Float64Array) => roundedTo(dataType, values).every(Number.isFinite)
  if (!stayFinite(exact.weight) || !stayFinite(exact.bias)) {
    throw new Unfoldable(`the weights of ${title} would not be finite in their type`)
  }
  const bias = { dims: [layer.outputs], dataType, values: exact.bias }
  const layerName = node.name === '' ? node.output[0] : node.name
  edit.write(node, 1, { ...weight, values: exact.weight }, `${layerName}.weight`)
  if (node.opType === 'MatMul') {
    // It has no bias: what comes after it adds one.
    const input = [node.output[0], edit.store(bias, `${layerName}.bias`)]
    if (add !== null) edit.giveInPlaceOf(add, norm)
    edit.become(add ?? norm, 'Add', input)
    return layerName
  }
  edit.write(node, 2, bias, `${layerName}.bias`)
  node.attribute = node.attribute.filter((attribute) => attribute.name !== 'beta')
  if (add !== null) edit.giveInPlaceOf(node, add)
  edit.giveInPlaceOf(node, norm)
  return layerName
}
