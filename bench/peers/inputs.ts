import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Extent } from '../../lib/backend/backend.ts'
import { Random } from '../../test/support/random.ts'

/** What all contestants normalize. */
export interface Inputs {
  readonly x: Float32Array
  readonly gradOutput: Float32Array
  readonly weight: Float32Array
  readonly bias: Float32Array
  readonly runningMean: Float32Array
  readonly runningVariance: Float32Array
}

/** A prime, so that the values of a channel are not the same few again and again. */
const period = 1_000_003

/** N(0.5, 2^2) for x, N(0, 1) for its gradient; the same for the same extent. */
export function inputsOf({ outer, channels, inner }: Extent): Inputs {
  const random = new Random(1)
  const normal = (count: number) => Float32Array.from({ length: count }, () => random.normal())
  const positive = () => Float32Array.from({ length: channels }, () => 0.5 + random.uniform())
  const size = outer * channels * inner
  const noise = normal(Math.min(period, size))
  return {
    x: repeated(
      noise.map((value) => 0.5 + 2 * value),
      size,
    ),
    gradOutput: repeated(normal(noise.length), size),
    weight: positive(),
    bias: normal(channels),
    runningMean: normal(channels),
    runningVariance: positive(),
  }
}

/** Writes each array to a file NAME.f32 of `folder`. */
export function writeInputs(folder: string, inputs: Inputs): void {
  for (const [name, values] of Object.entries(inputs)) writeFileSync(join(folder, `${name}.f32`), values)
}

function repeated(block: Float32Array, size: number): Float32Array {
  const values = new Float32Array(size)
  for (let at = 0; at < size; at += block.length) values.set(block.subarray(0, size - at), at)
  return values
}
