import type { Running } from '../backend/backend.ts'
import { Tensor } from '../tensor.ts'

/** The running statistics of a module: what eval mode normalizes with. */
export class RunningStats {
  readonly mean: Tensor
  readonly variance: Tensor
  readonly numBatchesTracked = new Tensor(new BigInt64Array(1), [])
  /** Mean and variance as a backend takes them. */
  readonly buffers: Running

  constructor(channels: number) {
    this.mean = new Tensor(new Float32Array(channels), [channels])
    this.variance = new Tensor(new Float32Array(channels), [channels])
    this.buffers = { mean: this.mean.data, variance: this.variance.data }
    this.reset()
  }

  /** Mean 0, variance 1, no batch tracked. */
  reset(): void {
    this.mean.data.fill(0)
    this.variance.data.fill(1)
    this.numBatchesTracked.data[0] = 0n
  }

  /** What gives every batch so far, and the next one, the same weight. */
  cumulativeMomentum(): number {
    return 1 / (Number(this.numBatchesTracked.data[0]) + 1)
  }

  countBatch(): void {
    this.numBatchesTracked.data[0] += 1n
  }
}
