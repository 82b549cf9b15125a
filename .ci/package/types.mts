// Type-checked only, as an ES module and as CommonJS.
import { activeBackend, BatchNorm1d, functional, type Tensor, tensor } from 'batchnorm'

const layer = new BatchNorm1d(2, { eps: 1e-5, momentum: null, affine: true })
const y: Tensor = layer.train().forward(tensor([[1, 10], [3, 30]]))
export const values: Float32Array = y.data
export const again: Tensor = functional.batchNorm(y, { training: true })
export const name: 'native' | 'typescript' = activeBackend().name

// @ts-expect-error: a number of features, not their names
new BatchNorm1d('2')
// @ts-expect-error: no such option
new BatchNorm1d(2, { epsilon: 1e-5 })
