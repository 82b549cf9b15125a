import { Tensor } from '../../lib/index.ts'

/** What a network learns from, or is tested on: inputs, `count` rows of the same length, and their classes. */
export interface Examples {
  readonly count: number
  /** `count` rows, one after the other. */
  readonly inputs: Float32Array
  /** `count` classes, 0 for the first. */
  readonly labels: Int32Array
}

export interface Split {
  readonly training: Examples
  readonly test: Examples
}

/** The rows `indices` of `examples`, in that order. */
export function pick({ count, inputs, labels }: Examples, indices: Int32Array): Examples {
  const features = inputs.length / count
  const picked = new Float32Array(indices.length * features)
  indices.forEach((from, to) => {
    picked.set(inputs.subarray(from * features, (from + 1) * features), to * features)
  })
  return { count: indices.length, inputs: picked, labels: indices.map((index) => labels[index]) }
}

/** The inputs as a tensor, a row for each example. */
export function rowsOf({ count, inputs }: Examples): Tensor {
  return new Tensor(inputs, [count, inputs.length / count])
}
