/** Batch normalization for Node.js with PyTorch's meaning, and the same bits everywhere. */
export type { NonFinite } from './backend/backend.ts'
export {
  type ActiveBackend,
  activeBackend,
  type BackendName,
  setNumThreads,
  supportedInstructionSets,
  useBackend,
  useInstructionSet,
} from './backend/load.ts'
export * as functional from './functional.ts'
export type { BatchNorm } from './modules/batch-norm.ts'
export { BatchNorm1d } from './modules/batch-norm-1d.ts'
export type { BatchNormOptions, SingleValue } from './modules/options.ts'
export type { Parameter } from './modules/parameter.ts'
export type { LoadedKeys, State, StateValue } from './modules/state-dict.ts'
export { type OutputMemory, outputMemory, setOutputMemoryLimit } from './output-memory.ts'
export type { Layout, Shape } from './shape.ts'
export { type DataType, type NestedNumbers, Tensor, type TensorData, tensor } from './tensor.ts'
export type { StatisticsVector, TensorLike, Vector } from './validate.ts'
