import { BatchNorm1d } from '../../lib/modules/batch-norm-1d.ts'
import type { Shape } from '../../lib/tensor/shape.ts'
import { type Tensor, tensor } from '../../lib/tensor/tensor.ts'
import { elementsOf } from './shapes.ts'

/** What is timed: a call, and how often it passes over an array of the input's size to read or to write. */
export interface Operation {
  readonly name: string
  readonly passes: number
  readonly run: () => unknown
}

/** The operations on one shape, and the arrays that they work on. */
export interface Operations {
  readonly input: Tensor
  readonly gradOutput: Tensor
  /** Where results go. */
  readonly out: Float32Array
  /** What all others are held against: the engine's own copy, on one thread. */
  readonly copy: Operation
  readonly forward: Operation
  readonly backward: Operation
  readonly eval: Operation
}

/** Values repeat after a prime number of them, so that no two rows of a chunk are equal. */
const period = 65521

export function operationsOn(shape: Shape): Operations {
  const x = new Float32Array(elementsOf(shape))
  for (let index = 0; index < x.length; index++)
    x[index] = index < period ? Math.sin(index) : x[index - period]
  const out = new Float32Array(x.length)
  const input = tensor(x, shape)
  const gradOutput = tensor(x.toReversed(), shape)
  const training = new BatchNorm1d(shape[1])
  const evaluation = new BatchNorm1d(shape[1]).eval()
  training.forward(input)
  return {
    input,
    gradOutput,
    out,
    copy: { name: 'copy, y.set(x)', passes: 2, run: () => out.set(x) },
    forward: { name: 'forward, out', passes: 3, run: () => training.forward(input, { out }) },
    backward: { name: 'backward, out', passes: 5, run: () => training.backward(gradOutput, { out }) },
    eval: { name: 'eval, out', passes: 2, run: () => evaluation.forward(input, { out }) },
  }
}
