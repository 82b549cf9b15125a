import type { Values } from '../backend/backend.ts'

/** How many values are remembered: 20 ns a forward. */
const most = 16

/**
 * Some values of an array, evenly spread, to tell later whether another batch was written there. PyTorch counts
 * the versions of a tensor, which a typed array does not have.
 */
export class Fingerprint {
  /** Of halves their bits. */
  readonly #values = new Float64Array(most)

  take(array: Values): void {
    const values = this.#values
    const { length } = array
    const step = stepOf(length)
    for (let at = 0, index = 0; at < length; at += step) values[index++] = array[at]
  }

  /** Whether they are still there, in an array of the same length. */
  fits(array: Values): boolean {
    const values = this.#values
    const { length } = array
    const step = stepOf(length)
    for (let at = 0, index = 0; at < length; at += step, index++) {
      const now = array[at]
      if (values[index] !== now && !(Number.isNaN(values[index]) && Number.isNaN(now))) return false
    }
    return true
  }
}

/** Odd, so that with an even number of channels the values are of different ones. */
function stepOf(length: number): number {
  return length <= most ? 1 : Math.ceil(length / most) | 1
}
