/** Seeded random numbers, so that a failing case can be run again: mulberry32 (Tommy Ettinger, 2017). */
export class Random {
  #state: number

  constructor(seed: number) {
    this.#state = seed | 0
  }

  /** Uniform over the integers [0, 2^32). */
  integer(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0
    let z = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1)
    z ^= z + Math.imul(z ^ (z >>> 7), z | 61)
    return (z ^ (z >>> 14)) >>> 0
  }

  /** Uniform over [0, 1). */
  uniform(): number {
    return this.integer() / 2 ** 32
  }

  /** Uniform over the integers [0, bound). */
  below(bound: number): number {
    return Math.floor(this.uniform() * bound)
  }

  /** N(0, 1), by the method of Box and Muller. */
  normal(): number {
    const radius = Math.sqrt(-2 * Math.log(1 - this.uniform()))
    return radius * Math.cos(2 * Math.PI * this.uniform())
  }
}
