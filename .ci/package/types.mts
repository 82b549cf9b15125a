// Type-checked only, as an ES module and as CommonJS.
import { type AnyBatchNorm, activeBackend, BatchNorm1d, functional, type Tensor, tensor, toConvention } from 'batchnorm'
import { fromOnnx, toOnnx } from 'batchnorm/onnx'

const layer = new BatchNorm1d(2, { eps: 1e-5, momentum: null, affine: true })
const y: Tensor = layer.train().forward(tensor([[1, 10], [3, 30]]))
export const values: Float32Array = y.data
export const again: Tensor = functional.batchNorm(y, { training: true })
export const name: 'native' | 'typescript' = activeBackend().name
export const gamma: Float32Array | Float64Array | undefined = toConvention('keras', layer).parameters.gamma
export const read: BatchNorm1d = fromOnnx(toOnnx(layer)).module as BatchNorm1d

const double = new BatchNorm1d(2, { dtype: 'float64' })
export const gradients: Float64Array = double.weight.grad
export const none: null = new BatchNorm1d(2, { affine: false }).weight
export const doubles: Tensor<Float64Array> = double.forward(tensor([[1, 10], [3, 30]], { dtype: 'float64' }))
export const halves: Tensor<Uint16Array> = layer.forward(tensor([[1, 10], [3, 30]], { dtype: 'bfloat16' }))
export const rounded: Tensor = layer.forward(tensor(new Float64Array(4), [2, 2], { dtype: 'float32' }))
export const widened: Tensor<Float64Array> = double.forward(tensor(new Float32Array(4), [2, 2], { dtype: 'float64' }))
export const told: Tensor = layer.forward(tensor([[1, 10], [3, 30]], { dtype: 'float32' }))
declare const either: 'float32' | 'float64'
export const ofEither: Tensor<Float32Array | Float64Array> = layer.forward(tensor([[1, 10], [3, 30]], { dtype: either }))
export const modules: AnyBatchNorm[] = [layer, double, new BatchNorm1d(3, { ...double.options, scale: false })]

// @ts-expect-error: a number of features, not their names
new BatchNorm1d('2')
// @ts-expect-error: no such option
new BatchNorm1d(2, { epsilon: 1e-5 })
