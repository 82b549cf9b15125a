/** A forward before and after its arithmetic: what is checked, what is chosen, what is kept. */
import type { NonFinite, Values } from '../backend/backend.ts'
import { aliasing, assertAliasing, sameMemory } from '../checks/aliasing.ts'
import { optionNames } from '../checks/options.ts'
import { type FloatTensorLike, type FloatVector, floatTensor, floatTypeOf } from '../checks/tensors.ts'
import { matchingValues, type ResultData, withHalf } from '../functional/arguments.ts'
import { parameterType, type TensorData } from '../tensor/data-type.ts'
import { type Layout, sameShape, valuesPerChannel } from '../tensor/shape.ts'
import { Tensor } from '../tensor/tensor.ts'
import type { Channels } from './channels.ts'
import { chooseMethod, chooseStatistics, type Request, type Synchronization } from './methods/choose.ts'
import { type CountedOptions, countedOf } from './methods/counted.ts'
import { plain } from './methods/plain.ts'
import type { Renorm } from './methods/renormalized.ts'
import type { SingleValue } from './options.ts'
import type { Pass } from './pass.ts'
import { assertReusable, resultArray } from './result-array.ts'
import { noteRewritten, versionOf } from './reused-memory.ts'
import type { Switches } from './switches.ts'

/** Options of one `forward`. */
export interface ForwardOptions extends CountedOptions {
  /** Where to write, of the input's length and type; may be the input or the residual itself. */
  out?: FloatVector
  /** What is added after the normalization and before the activation, of the input's shape and type. */
  residual?: FloatTensorLike
}

/** Their names. */
export const forwardOptions = optionNames<ForwardOptions>({
  out: true,
  residual: true,
  mask: true,
  lengths: true,
  weights: true,
})

/** What a forward reads of its module. */
interface ForwardSettings {
  readonly training: boolean
  readonly eps: number
  readonly momentum: number | null
  readonly layout: Layout
  readonly nonFinite: NonFinite
  readonly singleValue: SingleValue
  readonly virtualBatchSize: number | null
  readonly renorm: Renorm | null
}

/**
 * Checks everything and fills the spare pass.
 *
 * @param isFirst - whether the running statistics may move; otherwise the last forward is done again
 */
export function startForward(
  module: ForwardSettings,
  switches: Switches,
  channels: Channels,
  input: FloatTensorLike,
  options: ForwardOptions,
  isFirst: boolean,
): Pass {
  const { out, residual } = options
  channels.assertIntact()
  const { last, spare: pass } = channels
  const x = valuesFor(pass, input)
  // A shape like the last one is that one: frozen, so that outputs may share it.
  if (last !== null && last.type === pass.type && sameShape(input.shape, last.shape)) {
    pass.shape = last.shape
    pass.extent = last.extent
  } else {
    pass.extent = withHalf(channels.form.extentOf(input.shape), pass.type)
    pass.shape = Object.freeze(input.shape.slice())
  }
  pass.input = x
  pass.hasResidual = residual !== undefined
  pass.residual =
    residual === undefined ? null : matchingValues('residual', residual, pass, 'the shape of the input')
  pass.momentum = module.momentum
  pass.settings.eps = module.eps
  pass.settings.momentum = pass.running?.weightOfNext(pass.momentum) ?? 0
  pass.settings.nonFinite = module.nonFinite
  choose(pass, module, switches, channels.synchronization, options)
  if (!isFirst) pass.method.repeat(pass, last?.method ?? null)
  pass.output = resultArray(out, pass, pass.reused)
  pass.outputIsNew = out === undefined && pass.reused === null
  if (out !== undefined) {
    const arrays = { out: pass.output, input: x, residual: pass.residual }
    assertAliasing(aliasing.forward, arrays, channels.arrays)
  }
  pass.inputVersion = versionOf(x)
  if (out === undefined && pass.reused !== null) {
    assertReusable(pass.output, { input: x, residual: pass.residual })
    // What is done again leaves the bits that were there.
    if (isFirst) noteRewritten(pass.output)
  }
  pass.inputIsGone = out !== undefined && sameMemory(pass.output, x)
  channels.positiveScale?.refresh()
  channels.noteOthers(pass)
  return pass
}

/** Which statistics normalize, which move, and by what method. */
function choose(
  pass: Pass,
  module: ForwardSettings,
  switches: Switches,
  ranks: Synchronization | null,
  { mask, lengths, weights }: ForwardOptions,
): void {
  const { training, singleValue } = module
  const fromBatch = switches.normalizesWithBatch(training)
  const updatesRunning = switches.updatesRunning(training)
  const isCounted = mask !== undefined || lengths !== undefined || weights !== undefined
  const virtualBatchSize = training ? module.virtualBatchSize : null
  const renorm = training ? module.renorm : null
  pass.method = plain
  const isEmpty = pass.input.length === 0
  const synchronization = fromBatch || updatesRunning ? ranks : null
  pass.nothingCounts = false
  const isPlain =
    !isCounted &&
    synchronization === null &&
    virtualBatchSize === null &&
    renorm === null &&
    (fromBatch || !updatesRunning)
  if (isPlain && !isEmpty) {
    chooseStatistics(pass, valuesPerChannel(pass.extent), fromBatch, updatesRunning, singleValue)
    return
  }
  const counted = countedOf({ mask, lengths, weights }, pass.shape, module.layout)
  if (isEmpty && synchronization === null) {
    pass.fromBatch = fromBatch
    pass.updatesRunning = updatesRunning
    return
  }
  const request: Request = {
    fromBatch,
    updatesRunning,
    singleValue,
    virtualBatchSize,
    renorm,
    synchronization,
  }
  chooseMethod(pass, counted, request)
}

/** Makes the pass the last one, and its output a tensor. */
export function endForward<Data extends TensorData>(
  channels: Channels,
  pass: Pass,
): Tensor<ResultData<Data>> {
  const { input, output, shape, type, running, updatesRunning } = pass
  // First, since it throws for an array that has lost its memory.
  const y = new Tensor(output as ResultData<Data>, shape, type)
  if (input.length === 0 && updatesRunning && pass.method === plain) running?.countOne()
  pass.end()
  channels.keep(pass)
  return y
}

/** The values of an input, of a type that goes with the pass's parameters; the pass takes that type. */
function valuesFor(pass: Pass, input: FloatTensorLike): Values {
  const type = floatTypeOf('input', input, pass.dtype)
  pass.type = parameterType(type) === pass.dtype ? type : pass.dtype
  return floatTensor('input', input, pass.type)
}
