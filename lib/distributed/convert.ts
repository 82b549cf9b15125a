import { invalidType } from '../checks/errors.ts'
import { type AnyBatchNorm, assertBatchNorm, type BatchNorm } from '../modules/batch-norm.ts'
import { BatchNorm1d } from '../modules/batch-norm-1d.ts'
import { likewise } from '../modules/copy.ts'
import type { BatchNormOptions } from '../modules/options.ts'
import type { ParameterType } from '../tensor/data-type.ts'
import type { Collective } from './collective.ts'
import { SyncBatchNorm } from './sync-batch-norm.ts'

/** A class of batch norms of one kind of shape. */
export type BatchNormClass<Module extends AnyBatchNorm> = new (
  numFeatures: number,
  options: BatchNormOptions<never>,
) => Module

/** Of what class a module was before `convertSyncBatchNorm`. */
const classes = new WeakMap<AnyBatchNorm, BatchNormClass<AnyBatchNorm>>()

/**
 * A `SyncBatchNorm` like a batch norm: of its options, type, mode, switches, values and counter. Its arrays are its own,
 * so make the optimizer after it; gradients start at 0. The batch norm stays as it is.
 *
 * https://pytorch.org/docs/stable/generated/torch.nn.SyncBatchNorm.html
 *
 * @throws TypeError for what is not a batch norm, for a lazy one without channels, and for one with `virtualBatchSize`
 */
export function convertSyncBatchNorm<
  Type extends ParameterType,
  Scale extends boolean,
  Center extends boolean,
  RunningStats extends boolean,
>(
  module: BatchNorm<Type, Scale, Center, RunningStats>,
  collective: Collective,
): SyncBatchNorm<Type, Scale, Center, RunningStats> {
  assertBatchNorm('module', module)
  const options = { ...module.options, collective }
  const converted = new SyncBatchNorm(channelsOf(module), options)
  classes.set(converted, module.constructor as BatchNormClass<AnyBatchNorm>)
  return likewise(module, converted)
}

/**
 * The batch norm that a `SyncBatchNorm` is on one rank, to save or serve: of its options, type, mode, switches, values
 * and counter, as those before `convertSyncBatchNorm` were. (PyTorch has no such function:
 * https://github.com/pytorch/pytorch/issues/41081)
 *
 * @param Class - `BatchNorm1d`, `BatchNorm2d` or `BatchNorm3d`; may be left out for what `convertSyncBatchNorm` made
 * @throws TypeError for what is not a `SyncBatchNorm`, and without a class where none is known
 */
export function revertSyncBatchNorm<Module extends AnyBatchNorm = AnyBatchNorm>(
  module: SyncBatchNorm<ParameterType, boolean, boolean, boolean>,
  Class: BatchNormClass<Module> = classes.get(module) as BatchNormClass<Module>,
): Module {
  if (!(module instanceof SyncBatchNorm)) throw invalidType('module', 'a SyncBatchNorm', module)
  if (typeof Class !== 'function' || !(Class.prototype instanceof Object.getPrototypeOf(BatchNorm1d))) {
    const fix = 'which shapes does it take? A SyncBatchNorm takes them all'
    throw invalidType('Class', 'BatchNorm1d, BatchNorm2d or BatchNorm3d', Class, fix)
  }
  const { collective, ...options } = module.options
  return likewise(module, new Class(module.numFeatures, options as BatchNormOptions<never>))
}

function channelsOf(module: AnyBatchNorm): number {
  if (module.numFeatures > 0) return module.numFeatures
  throw invalidType('module', 'a batch norm with channels', module, 'call forward(input) first')
}
