import { refuseSetting } from '../checks/fixed-properties.ts'
import { boolean } from '../checks/scalars.ts'
import { numberVector } from '../checks/tensors.ts'
import { type ParameterArray, type ParameterType, parameterArray } from '../tensor/data-type.ts'
import { Tensor } from '../tensor/tensor.ts'
import { fixedInParameter } from './fixed.ts'

/**
 * A learnable vector, one value a channel, and the gradient that `backward` adds to. `grad` is there
 * from the start, all zeros, and stays the same array: an optimizer may keep hold of it.
 */
export class Parameter<Type extends ParameterType = 'float32'> extends Tensor<ParameterArray<Type>> {
  /** The sum of the gradients since `zeroGrad()`, one number a channel, as `data`. */
  readonly grad: ParameterArray<Type>
  /** `grad`, where its guard would cost time. */
  readonly #grad: ParameterArray<Type>
  #requiresGrad = true
  #frozen = false
  #decay = false

  constructor(length: number, initial: number, type: Type) {
    const data = parameterArray(type, length)
    data.fill(initial)
    super(data, [length])
    this.#grad = parameterArray(type, length)
    this.grad = this.#grad
    refuseSetting(this, 'parameter', fixedInParameter)
  }

  /**
   * Whether weight decay is meant for it. It is not, unless it is set, for scale and shift, whose size says nothing
   * about how large the function is (He et al. 2019, https://arxiv.org/abs/1812.01187, section 3.1).
   */
  get decay(): boolean {
    return this.#decay
  }

  set decay(decay: boolean) {
    this.#decay = boolean('decay', decay)
  }

  /**
   * Whether `backward` adds to `grad`; `false` while the module is frozen. An optimizer leaves the parameter
   * alone then.
   */
  get requiresGrad(): boolean {
    return this.#requiresGrad && !this.#frozen
  }

  set requiresGrad(requires: boolean) {
    this.#requiresGrad = boolean('requiresGrad', requires)
  }

  /** Freezes the parameter with its module, or lets it be what it was. */
  freeze(frozen: boolean): void {
    this.#frozen = frozen
  }

  /**
   * Adds to `grad`, one number a channel.
   *
   * @throws TypeError or RangeError for what is not as many numbers. After an error nothing has changed.
   */
  addToGrad(gradient: ArrayLike<number>): void {
    const grad = this.#grad
    const numbers = numberVector('gradient', gradient, this.shape[0])
    for (let index = 0; index < numbers.length; index++) grad[index] += numbers[index]
  }
}
