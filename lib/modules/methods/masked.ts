import type { Extent, Gradients, Values } from '../../backend/backend.ts'
import { emptyLike } from '../../tensor/data-type.ts'
import type { Method, Pass } from '../pass.ts'
import { plain } from './plain.ts'
import type { Steps } from './steps.ts'

/**
 * Values that count among others that do not: the former are gathered into an array `(K, C)`, on which
 * the work is done as if nothing else were there, and put back. Everything else is 0: the output, so that
 * what follows a padded sequence sees zeros, and the gradients of the input and of a residual.
 */
export class Masked implements Method {
  readonly #counted: Uint32Array
  readonly #part: Pass

  /**
   * @param counted - the positions that count, ascending: position `p` holds the values
   * `(floor(p / inner), channel, p % inner)`
   * @param part - a pass over `(counted.length, channels, 1)`, with its method
   */
  constructor(counted: Uint32Array, part: Pass) {
    this.#counted = counted
    this.#part = part
  }

  *forward(pass: Pass): Steps {
    const { input, extent, output, residual } = pass
    const part = this.#part
    part.input = gathered(input, extent, this.#counted)
    part.residual = residual && gathered(residual, extent, this.#counted)
    part.output = emptyLike(part.input, part.input.length)
    yield* part.method.forward(part)
    pass.fromBatch = part.fromBatch
    pass.updatesRunning = part.updatesRunning
    if (part.nothingCounts) {
      pass.method = plain
      yield* plain.forward(pass)
      return
    }
    this.#scatter(part.output, extent, output)
    part.end()
  }

  *backward({ extent }: Pass, gradOutput: Values, gradients: Gradients): Steps {
    const gradient = gathered(gradOutput, extent, this.#counted)
    const part = this.#part
    const input = gradients.input && emptyLike(gradient, gradient.length)
    const residual = gradients.residual ? emptyLike(gradient, gradient.length) : null
    yield* part.method.backward(part, gradient, { ...gradients, input, residual })
    if (input && gradients.input) this.#scatter(input, extent, gradients.input)
    if (residual && gradients.residual) this.#scatter(residual, extent, gradients.residual)
  }

  repeat(_: Pass, previous: Method | null): void {
    const part = this.#part
    part.method.repeat(part, previous instanceof Masked ? previous.#part.method : null)
  }

  #scatter(values: Values, { channels, inner }: Extent, array: Values): void {
    array.fill(0)
    let index = 0
    for (const position of this.#counted) {
      let to = firstOf(position, channels, inner)
      for (let channel = 0; channel < channels; channel++, to += inner) array[to] = values[index++]
    }
  }
}

/** The values of the positions that count, `(counted.length, channels)`. */
export function gathered(array: Values, { channels, inner }: Extent, counted: Uint32Array): Values {
  const values = emptyLike(array, counted.length * channels)
  let index = 0
  for (const position of counted) {
    let from = firstOf(position, channels, inner)
    for (let channel = 0; channel < channels; channel++, from += inner) values[index++] = array[from]
  }
  return values
}

/** The index of a position's value of channel 0; those of the others follow, `inner` apart. */
function firstOf(position: number, channels: number, inner: number): number {
  const sample = Math.floor(position / inner)
  return sample * channels * inner + (position - sample * inner)
}
