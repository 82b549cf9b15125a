/** What the compiler takes and refuses: checked by `npm run typecheck`, never run. */
import {
  type AnyBatchNorm,
  absorbScale,
  type BatchNorm,
  BatchNorm1d,
  BatchNorm2d,
  BatchNorm3d,
  type BatchNormOptions,
  collapse,
  decodeSafetensors,
  foldIntoNext,
  foldIntoPrevious,
  fromConvention,
  functional,
  LazyBatchNorm1d,
  LazyBatchNorm2d,
  LazyBatchNorm3d,
  Moments,
  type NestedArray,
  type Parameter,
  type ParameterType,
  parameterGroups,
  recalibrate,
  type StatisticsVector,
  saveSafetensors,
  setIdentity,
  type Tensor,
  tensor,
  toAffine,
  toConvention,
} from '../lib/index.ts'
import { fromOnnx, toOnnx } from '../lib/interop/onnx/index.ts'

type Same<One, Other> =
  (<T>() => T extends One ? 1 : 2) extends <T>() => T extends Other ? 1 : 2 ? true : false

/** Takes what has exactly this type. */
function exactly<Type>() {
  return <Given>(_value: Given, ..._same: Same<Given, Type> extends true ? [] : [never]): void => {}
}

declare const flag: boolean
declare const options: BatchNormOptions
declare const dtype: ParameterType

type Mean = Tensor<Float32Array>
type Counter = Tensor<BigInt64Array>

export function optionsDecideWhatIsThere(): void {
  const plain = new BatchNorm1d(4)
  exactly<Parameter>()(plain.weight)
  exactly<Parameter>()(plain.bias)
  exactly<Mean>()(plain.runningMean)
  exactly<Mean>()(plain.runningVar)
  exactly<Counter>()(plain.numBatchesTracked)
  exactly<Parameter<'float64'>>()(new BatchNorm2d(4, { dtype: 'float64', momentum: null }).weight)
  exactly<Float64Array>()(new BatchNorm3d(4, { dtype: 'float64' }).runningVar.data)
  exactly<Parameter>()(new BatchNorm1d(4, { virtualBatchSize: 8, layout: 'channels-last' }).weight)
  exactly<Mean>()(new BatchNorm1d(4, { renorm: true, affine: false }).runningMean)

  exactly<null>()(new BatchNorm1d(4, { affine: false }).weight)
  exactly<null>()(new BatchNorm2d(4, { affine: false }).bias)
  exactly<null>()(new BatchNorm3d(4, { trackRunningStats: false }).runningMean)
  exactly<null>()(new BatchNorm1d(4, { trackRunningStats: false }).numBatchesTracked)
  exactly<null>()(new BatchNorm1d(4, { scale: false }).weight)
  exactly<Parameter>()(new BatchNorm1d(4, { scale: false }).bias)
  exactly<Parameter>()(new BatchNorm1d(4, { center: false }).weight)
  exactly<null>()(new BatchNorm1d(4, { affine: true, center: false }).bias)
  exactly<null>()(new BatchNorm1d(4, { affine: true, scale: false, center: false }).bias)
  exactly<null>()(new LazyBatchNorm1d({ affine: false }).weight)
  exactly<Parameter>()(new LazyBatchNorm2d().weight)
  exactly<Parameter<'float64'>>()(new LazyBatchNorm3d({ dtype: 'float64' }).bias)

  exactly<Parameter | null>()(new BatchNorm1d(4, { affine: flag }).weight)
  exactly<Parameter | null>()(new BatchNorm1d(4, { scale: flag }).weight)
  exactly<Parameter>()(new BatchNorm1d(4, { scale: flag }).bias)
  exactly<Mean | null>()(new BatchNorm1d(4, { trackRunningStats: flag }).runningVar)
  exactly<Parameter | null>()(new BatchNorm1d(4, options).bias)
  exactly<Parameter | null>()(new BatchNorm1d(4, { ...options, eps: 1e-3 }).bias)
  exactly<Mean | null>()(new BatchNorm1d(4, options).runningMean)

  // What comes of modules has what they have.
  exactly<Parameter>()(new BatchNorm1d(4, plain.options).weight)
  exactly<null>()(new BatchNorm1d(4, { ...plain.options, scale: false }).weight)
  exactly<Parameter>()(new BatchNorm1d(4, { ...plain.options, scale: false }).bias)
  exactly<Parameter>()(plain.train().eval().freeze().weight)
  const { batchNorm } = absorbScale(plain, 'relu', { weight: tensor([[1, 2, 3, 4]]) })
  exactly<null>()(batchNorm.weight)
  exactly<Parameter>()(batchNorm.bias)
  exactly<Parameter<ParameterType>>()(fromOnnx(toOnnx(plain)).module.weight)
  const { numFeatures, options: given } = fromConvention('keras', { moving_mean: [0], moving_variance: [1] })
  exactly<Parameter | null>()(new BatchNorm1d(numFeatures, given).weight)
}

export function whatTakesAnyModuleTakesThemAll(): void {
  const modules = [
    new BatchNorm1d(4),
    new BatchNorm2d(4, { affine: false }),
    new BatchNorm3d(4, { trackRunningStats: false, dtype: 'float64' }),
    new LazyBatchNorm1d({ scale: false }),
    new BatchNorm1d(4, { affine: flag, dtype }),
    new BatchNorm1d(4, options),
  ]
  const any: AnyBatchNorm[] = modules
  const single: BatchNorm[] = [new BatchNorm1d(4), new BatchNorm1d(4, { affine: false })]
  recalibrate(modules, [], () => {})
  for (const module of modules) {
    toAffine(module)
    setIdentity(module)
    toConvention('keras', module)
    toOnnx(module)
    parameterGroups<{ decay?: boolean }>(module.parameters(), 0)
    collapse([{ weight: tensor([[1]]) }, module])
    absorbScale(module, 'relu', { weight: tensor([[1]]) })
  }
  const ordinary: BatchNorm1d = new BatchNorm1d(4, { eps: 1e-3 })
  const withoutScale: BatchNorm1d<'float32', false> = new BatchNorm1d(4, { scale: false })
  void [any, single, ordinary, withoutScale]
}

export async function whatReadersReturnIsTaken(): Promise<void> {
  const file = decodeSafetensors(new Uint8Array())
  const bn = new BatchNorm1d(4)
  const stored = file.get('fc1.weight')
  const layer = { weight: stored, bias: file.get('fc1.bias') }
  const { layer: folded } = foldIntoPrevious(layer, bn, { probe: stored })
  foldIntoPrevious({ weight: stored, bias: stored.data }, bn)
  foldIntoNext(bn, layer, { probe: stored })
  absorbScale(bn, 'relu', layer)
  collapse([layer, bn, folded])
  bn.loadStateDict({ weight: stored, num_batches_tracked: stored })
  bn.forward(stored, { residual: stored, lengths: stored as Counter })
  bn.backward(await bn.forwardAsync(stored))
  functional.batchNorm(stored, { weight: stored, runningMean: stored, runningVar: stored })
  functional.batchNormBackward(stored, stored, { mean: stored, invstd: stored })
  new Moments(4).update(stored)
  await recalibrate(bn, [stored])
  fromConvention('onnx', { scale: stored, B: stored, input_mean: stored, input_var: stored })
  const moments: StatisticsVector = stored
  setIdentity(bn, { mean: moments, variance: moments })
  tensor(stored)
  tensor(stored, { dtype: 'float32' })
  saveSafetensors('copy.safetensors', { folded: folded.weight, stored, ...bn.stateDict() })
  for (const read of file.tensors.values()) foldIntoPrevious({ weight: read.numbers() }, bn)
}

export function arraysOfTensors(): void {
  exactly<NestedArray<number>>()(tensor([1]).toArray())
  exactly<NestedArray<number>>()(tensor([1], { dtype: 'float16' }).toArray())
  exactly<NestedArray<bigint>>()(new BatchNorm1d(4).numBatchesTracked.toArray())
  tensor(tensor([[1]]).toArray())
  new BatchNorm1d(4).forward(tensor([[1]]), { mask: new BigInt64Array(1), weights: [1n] })
}

export function whatMustNotCompile(): void {
  const file = decodeSafetensors(new Uint8Array())
  const integers = tensor(new BigInt64Array(4), [1, 4])
  // @ts-expect-error: perhaps there is no such tensor
  foldIntoPrevious({ weight: file.tensors.get('fc1.weight')?.read() }, new BatchNorm1d(4))
  // @ts-expect-error: the file's, not yet read
  foldIntoPrevious({ weight: file.tensors.get('fc1.weight') }, new BatchNorm1d(4))
  // @ts-expect-error: integers
  new BatchNorm1d(4).forward(integers)
  // @ts-expect-error: integers
  functional.batchNorm(integers)
  // @ts-expect-error: no weight
  new BatchNorm1d(4, { affine: false }).weight.data
  // @ts-expect-error: perhaps no weight
  new BatchNorm1d(4, options).weight.data
  // @ts-expect-error: perhaps no running statistics
  new BatchNorm1d(4, { trackRunningStats: flag }).runningMean.data
  // @ts-expect-error: has no scale, which a BatchNorm1d has unless it says so
  const ordinary: BatchNorm1d = new BatchNorm1d(4, { scale: false })
  // @ts-expect-error: perhaps no weight
  const { data } = (ordinary as AnyBatchNorm).weight
  // @ts-expect-error: no such option
  new BatchNorm1d(4, { afine: false })
  // @ts-expect-error: a boolean
  new BatchNorm1d(4, { affine: 1 })
  // @ts-expect-error: a boolean
  new BatchNorm1d(4, { scale: 'yes' })
  // @ts-expect-error: no such type
  new BatchNorm1d(4, { dtype: 'bfloat16' })
  // @ts-expect-error: a number
  new BatchNorm1d(4n)
  // @ts-expect-error: of another type than the module's
  new BatchNorm1d(4).weight.data = new Float64Array(4)
  // @ts-expect-error: a name that it does not have
  fromConvention('torch', {})
  // @ts-expect-error: no algebra here
  tensor([1]).add(1)
  void data
}
