import { expect } from 'vitest'

/** Each number within its own tolerance. */
export function expectNear(
  what: string,
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  tolerance: (index: number) => number,
): void {
  for (let index = 0; index < expected.length; index++) {
    const error = Math.abs(actual[index] - expected[index])
    if (error <= tolerance(index)) continue
    expect.fail(`${what} [${index}]: ${actual[index]}, not ${expected[index]} +- ${tolerance(index)}`)
  }
  expect(actual.length, what).toBe(expected.length)
}
