import { Tensor } from '../tensor.ts'

/**
 * A learnable vector, one value a channel, and the gradient that `backward` adds to. `grad` is there
 * from the start, all zeros, and stays the same array: an optimizer may keep hold of it.
 */
export class Parameter extends Tensor {
  readonly grad: Float32Array

  constructor(length: number, initial: number) {
    super(new Float32Array(length).fill(initial), [length])
    this.grad = new Float32Array(length)
  }

  addToGrad(gradient: Float32Array): void {
    for (let index = 0; index < gradient.length; index++) this.grad[index] += gradient[index]
  }
}
