/**
 * Batch norms that take their number of channels from the first input, or from a state dict. Until then
 * they have no parameters and no statistics, and asking for them is an error; after that they are
 * ordinary modules, as in PyTorch: a `LazyBatchNorm1d` becomes a `BatchNorm1d`.
 * https://pytorch.org/docs/stable/generated/torch.nn.LazyBatchNorm1d.html
 */

import { invalidShape } from '../checks/errors.ts'
import { type FloatInput, type FloatTensorLike, floatTensor, floatTypeOf } from '../checks/tensors.ts'
import type { ResultData } from '../functional/arguments.ts'
import type { ParameterType, TensorData } from '../tensor/data-type.ts'
import { channelAxis } from '../tensor/shape.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { BatchNorm } from './batch-norm.ts'
import { BatchNorm1d, positions1d } from './batch-norm-1d.ts'
import { BatchNorm2d, positions2d } from './batch-norm-2d.ts'
import { BatchNorm3d, positions3d } from './batch-norm-3d.ts'
import type { ForwardOptions } from './forward.ts'
import { formOf } from './input-form.ts'
import type { BatchNormOptions } from './options.ts'
import { assertState, type LoadedKeys, partsOf, type State } from './state-dict.ts'

abstract class LazyBatchNorm<
  Type extends ParameterType,
  Scale extends boolean,
  Center extends boolean,
  RunningStats extends boolean,
> extends BatchNorm<Type, Scale, Center, RunningStats> {
  readonly #positions: readonly (readonly string[])[]
  /** The prototype of what it becomes. */
  readonly #ordinary: object

  protected constructor(
    options: BatchNormOptions<Type, Scale, Center, RunningStats>,
    positions: readonly (readonly string[])[],
    ordinary: object,
  ) {
    super(null, options, positions)
    this.#positions = positions
    this.#ordinary = ordinary
  }

  override forward<Data extends TensorData = Float32Array>(
    input: FloatInput<Data>,
    options?: ForwardOptions,
  ): Tensor<ResultData<Data>> {
    const undo = this.#become(this.#channelsOf(input))
    try {
      return super.forward(input, options)
    } catch (error) {
      undo()
      throw error
    }
  }

  override async forwardAsync<Data extends TensorData = Float32Array>(
    input: FloatInput<Data>,
    options?: ForwardOptions,
  ): Promise<Tensor<ResultData<Data>>> {
    const undo = this.#become(this.#channelsOf(input))
    try {
      return await super.forwardAsync(input, options)
    } catch (error) {
      undo()
      throw error
    }
  }

  override loadStateDict(state: State, options?: { strict?: boolean }): LoadedKeys {
    assertState(state)
    const keys = ['weight', 'bias', 'running_mean', 'running_var', 'raw_weight']
    const given = keys.map((key) => state[key]).find((value) => value !== undefined)
    const { numbers, shape } = partsOf(given ?? [])
    const [channels] = shape
    if (numbers === null || shape.length !== 1 || channels === 0) {
      throw new RangeError(
        `Expected state to tell ${this} its number of channels but received none in the keys ${keys.join(', ')}`,
      )
    }
    const undo = this.#become(channels)
    try {
      return super.loadStateDict(state, options)
    } catch (error) {
      undo()
      throw error
    }
  }

  /** Makes it an ordinary module; what is returned makes it one again that does not know its channels. */
  #become(channels: number): () => void {
    // A getter of what this call was given has called the module first.
    if (this.numFeatures > 0) return () => {}
    const lazy = Object.getPrototypeOf(this)
    this.initialize(channels)
    Object.setPrototypeOf(this, this.#ordinary)
    return () => {
      this.initialize(null)
      Object.setPrototypeOf(this, lazy)
    }
  }

  #channelsOf(input: FloatTensorLike): number {
    floatTensor('input', input, floatTypeOf('input', input, this.dtype))
    const { shape } = input
    const channels = shape[channelAxis(shape, this.layout)]
    const fits = this.#positions.some((names) => shape.length === names.length + 2)
    if (fits && channels > 0) return channels
    throw invalidShape('input', formOf(this.#positions, 'C', this.layout), shape)
  }
}

/** A `BatchNorm1d` whose number of channels is that of its first input. */
export class LazyBatchNorm1d<
  Type extends ParameterType = 'float32',
  Scale extends boolean = true,
  Center extends boolean = true,
  RunningStats extends boolean = true,
> extends LazyBatchNorm<Type, Scale, Center, RunningStats> {
  constructor(options: BatchNormOptions<Type, Scale, Center, RunningStats> = {}) {
    super(options, positions1d, BatchNorm1d.prototype)
  }
}

/** A `BatchNorm2d` whose number of channels is that of its first input. */
export class LazyBatchNorm2d<
  Type extends ParameterType = 'float32',
  Scale extends boolean = true,
  Center extends boolean = true,
  RunningStats extends boolean = true,
> extends LazyBatchNorm<Type, Scale, Center, RunningStats> {
  constructor(options: BatchNormOptions<Type, Scale, Center, RunningStats> = {}) {
    super(options, positions2d, BatchNorm2d.prototype)
  }
}

/** A `BatchNorm3d` whose number of channels is that of its first input. */
export class LazyBatchNorm3d<
  Type extends ParameterType = 'float32',
  Scale extends boolean = true,
  Center extends boolean = true,
  RunningStats extends boolean = true,
> extends LazyBatchNorm<Type, Scale, Center, RunningStats> {
  constructor(options: BatchNormOptions<Type, Scale, Center, RunningStats> = {}) {
    super(options, positions3d, BatchNorm3d.prototype)
  }
}
