import { measure } from 'mitata'
import type { Shape } from '../../lib/tensor/shape.ts'
import type { Operation } from './operations.ts'
import { bytesOf } from './shapes.ts'

/** How long a call takes. */
export interface Timing {
  /** In microseconds. */
  readonly median: number
  readonly lowerQuartile: number
  readonly upperQuartile: number
  /** What the definition has to read and write, by the median. */
  readonly gigabytesPerSecond: number
}

/** Calls of up to 10 microseconds are timed 512 at a time; no collection is asked for before. */
const precision = { min_cpu_time: 150e6, batch_threshold: 10_000, batch_samples: 512, gc: false }

export async function timingOf({ run, passes }: Operation, shape: Shape): Promise<Timing> {
  const { p25, p50, p75 } = await measure(run, precision)
  return {
    median: p50 / 1000,
    lowerQuartile: p25 / 1000,
    upperQuartile: p75 / 1000,
    gigabytesPerSecond: (bytesOf(shape) * passes) / p50,
  }
}
