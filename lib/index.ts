/**
 * Batch normalization for Node.js with PyTorch's meaning, and the same bits everywhere.
 *
 * @module batchnorm
 */
export {
  type ChannelDescription,
  describeOutput,
  type OutputDescription,
} from './analysis/describe-output.ts'
export { type ExplainGapOptions, explainGap } from './analysis/explain-gap.ts'
export type { GapCause, GapFigure } from './analysis/gap/cause.ts'
export { gapLines } from './analysis/gap/lines.ts'
export type { ChannelStatistics } from './analysis/gap/norm.ts'
export type { GapParts } from './analysis/gap/parts.ts'
export type { ChannelGap, GapReport } from './analysis/gap/report.ts'
export type { GapVerdict } from './analysis/gap/verdicts.ts'
export { type Forward, type Linearity, linearity } from './analysis/linearity.ts'
export { type OutputRange, outputRange } from './analysis/output-range.ts'
export { type Saturation, type SaturationParts, saturation } from './analysis/saturation.ts'
export { setIdentity } from './analysis/set-identity.ts'
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
export {
  type BatchNormKey,
  batchNormState,
  findBatchNorms,
  type StoredBatchNorm,
} from './checkpoints/batch-norms.ts'
export { decodeSafetensors, loadSafetensors, SafetensorsFile } from './checkpoints/safetensors/file.ts'
export type { Metadata } from './checkpoints/safetensors/header.ts'
export {
  encodeSafetensors,
  type Savable,
  type Savables,
  saveSafetensors,
} from './checkpoints/safetensors/save.ts'
export { StoredTensor } from './checkpoints/safetensors/stored-tensor.ts'
export { explanations, type Finding, findingLines, type Summary, summarize } from './checkpoints/summarize.ts'
export type {
  FloatInput,
  FloatTensorLike,
  FloatVector,
  StatisticsVector,
  TensorLike,
  Vector,
} from './checks/tensors.ts'
export type { ChannelDrift } from './drift/drift.ts'
export { type Watch, type Watched, type WatchOptions, watch } from './drift/watch.ts'
export type { ModuleDrift, WatchEvent } from './drift/watcher.ts'
export type { MomentsClient, PoolClient, StateClient } from './federated/client.ts'
export { type FederatedKeys, type FederatedMethod, federatedKeys } from './federated/keys.ts'
export { Pooled, type PoolOptions, pool } from './federated/pool.ts'
export { type Absorbed, absorbScale, type WithoutScale } from './fold/absorb-scale.ts'
export type { Activation, ActivationName } from './fold/activation.ts'
export { collapse } from './fold/collapse.ts'
export { type ChannelAffine, toAffine } from './fold/eval-affine.ts'
export { foldIntoNext } from './fold/fold-into-next.ts'
export { type Folded, foldIntoPrevious } from './fold/fold-into-previous.ts'
export type { AnyLayer, Layer } from './fold/layer.ts'
export type { FoldedLayer } from './fold/new-weights.ts'
export type { ProbeOptions } from './fold/probe.ts'
export type { ParameterData, ResultData } from './functional/arguments.ts'
export type { FusedActivation, FusedActivationOptions } from './functional/fused-activation.ts'
export * as functional from './functional/index.ts'
export {
  type FromConvention,
  type FromConventionOptions,
  fromConvention,
} from './interop/conventions/from-convention.ts'
export type { ConventionName, Conventions } from './interop/conventions/table.ts'
export {
  type ToConvention,
  type ToConventionOptions,
  toConvention,
} from './interop/conventions/to-convention.ts'
export type { ConventionValues } from './interop/conventions/values.ts'
export type { BackwardOptions } from './modules/backward.ts'
export type { AnyBatchNorm, BatchNorm, Present } from './modules/batch-norm.ts'
export { BatchNorm1d } from './modules/batch-norm-1d.ts'
export { BatchNorm2d } from './modules/batch-norm-2d.ts'
export { BatchNorm3d } from './modules/batch-norm-3d.ts'
export type { DomainBatchNorm } from './modules/domains/domain-batch-norm.ts'
export { DomainBatchNorm1d } from './modules/domains/domain-batch-norm-1d.ts'
export { DomainBatchNorm2d } from './modules/domains/domain-batch-norm-2d.ts'
export { DomainBatchNorm3d } from './modules/domains/domain-batch-norm-3d.ts'
export type { DomainChoice } from './modules/domains/domain-choice.ts'
export type {
  DomainBatchNormOptions,
  DomainForwardOptions,
  DomainParameters,
} from './modules/domains/options.ts'
export type { ForwardOptions } from './modules/forward.ts'
export { LazyBatchNorm1d, LazyBatchNorm2d, LazyBatchNorm3d } from './modules/lazy-batch-norm.ts'
export type { CountedOptions, Flags } from './modules/methods/counted.ts'
export type { RenormOptions, Schedule } from './modules/methods/renormalized.ts'
export type { BatchNormOptions, SingleValue } from './modules/options.ts'
export type { Parameter } from './modules/parameter.ts'
export { type ParameterGroup, parameterGroups, type Trainable } from './modules/parameter-groups.ts'
export { slice } from './modules/slice.ts'
export type { LoadedKeys, State, StateValue } from './modules/state-dict.ts'
export type { StoredVariance } from './modules/stored-variance.ts'
export { type AdaptOptions, adapt } from './moments/adapt.ts'
export type { Adaptation, StreamAdaptation } from './moments/adaptation.ts'
export { MicroBatches } from './moments/micro-batches.ts'
export { Moments, type MomentsOptions } from './moments/moments.ts'
export type { MomentsJSON } from './moments/moments-json.ts'
export type { Batches } from './moments/network-call.ts'
export { recalibrate } from './moments/recalibrate.ts'
export { updateBn } from './moments/update-bn.ts'
export { type WithAdaptationOptions, withAdaptation } from './moments/with-adaptation.ts'
export type {
  DataType,
  FloatArray,
  FloatData,
  FloatType,
  ParameterArray,
  ParameterType,
  TensorData,
} from './tensor/data-type.ts'
export type { ForeignArray } from './tensor/foreign.ts'
export type { IntegerJSON, NumberJSON, TensorJSON } from './tensor/json.ts'
export { type OutputMemory, outputMemory, setOutputMemoryLimit } from './tensor/output-memory.ts'
export type { Layout, Shape } from './tensor/shape.ts'
export { type NestedArray, type NestedNumbers, Tensor, type TensorOptions, tensor } from './tensor/tensor.ts'
