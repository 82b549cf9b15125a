import { uniformFloat64 } from 'pure-rand/distribution/uniformFloat64'
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus'
import type { Examples, Split } from '../training/examples.ts'

export const TURNS = 1.5
/** How far a point may lie from its arm, in each direction; the arms are 1 / (2 * TURNS) apart. */
export const SPREAD = 0.04

/**
 * Two spirals that wind around each other, points in the plane of two classes: the classic of what no
 * straight line divides. Lang and Witbrock, "Learning to tell two spirals apart", 1988.
 */
export function spirals(count: { training: number; test: number }, seed: number): Split {
  const random = xoroshiro128plus(seed)
  const uniform = (from: number, to: number) => from + uniformFloat64(random) * (to - from)
  const draw = (count: number): Examples => {
    const labels = Int32Array.from({ length: count }, (_, index) => index % 2)
    const inputs = new Float32Array(2 * count)
    labels.forEach((label, index) => {
      // The square root spreads the points evenly over the length of the arm.
      const radius = Math.sqrt(uniform(0.01, 1))
      const angle = 2 * Math.PI * TURNS * radius + label * Math.PI
      inputs[2 * index] = radius * Math.cos(angle) + uniform(-SPREAD, SPREAD)
      inputs[2 * index + 1] = radius * Math.sin(angle) + uniform(-SPREAD, SPREAD)
    })
    return { count, inputs, labels }
  }
  return { training: draw(count.training), test: draw(count.test) }
}
