import type { Gradients, Values } from '../../backend/backend.ts'
import { parameterArray } from '../../tensor/data-type.ts'
import type { Method, Pass } from '../pass.ts'
import type { Steps } from './steps.ts'
import type { Stepwise } from './stepwise.ts'

/** Neighbouring samples that have statistics of their own: `begin` to `end` of the pass's `outer`. */
export interface GhostBatch {
  readonly begin: number
  readonly end: number
  readonly pass: Pass
  readonly method: Stepwise
}

/** Where groups of `size` samples end; what is left over goes to the last. */
export function cutIntoGroups(samples: number, size: number): number[] {
  const groups = Math.max(1, Math.floor(samples / size))
  return Array.from({ length: groups }, (_, group) => (group === groups - 1 ? samples : (group + 1) * size))
}

/**
 * Ghost batches: each is normalized as if it came alone, and moves the running statistics in its turn
 * (Hoffer, Hubara and Soudry 2017, https://arxiv.org/abs/1705.08741, algorithm 1). The result is that of
 * one forward after another, but that nothing has changed if one of them throws.
 */
export class Ghost implements Method {
  readonly #batches: readonly GhostBatch[]

  constructor(batches: readonly GhostBatch[]) {
    this.#batches = batches
  }

  *forward(pass: Pass): Steps {
    for (const batch of this.#batches) {
      batch.pass.input = rowsOf(pass.input, batch)
      batch.pass.output = rowsOf(pass.output, batch)
      batch.pass.residual = pass.residual && rowsOf(pass.residual, batch)
      yield* batch.method.observe(batch.pass)
    }
    for (const { method, pass: part } of this.#batches) {
      yield* method.apply(part)
      part.end()
    }
  }

  *backward({ extent: { channels }, dtype }: Pass, gradOutput: Values, gradients: Gradients): Steps {
    const total = { weight: new Float64Array(channels), bias: new Float64Array(channels) }
    const sums = { weight: parameterArray(dtype, channels), bias: parameterArray(dtype, channels) }
    for (const batch of this.#batches) {
      const input = gradients.input && rowsOf(gradients.input, batch)
      const residual = gradients.residual && rowsOf(gradients.residual, batch)
      yield* batch.method.backward(batch.pass, rowsOf(gradOutput, batch), { input, residual, ...sums })
      for (let channel = 0; channel < channels; channel++) {
        total.weight[channel] += sums.weight[channel]
        total.bias[channel] += sums.bias[channel]
      }
    }
    gradients.weight?.set(total.weight)
    gradients.bias?.set(total.bias)
  }

  repeat(_: Pass, previous: Method | null): void {
    const before = previous instanceof Ghost ? previous.#batches : []
    this.#batches.forEach(({ pass, method }, index) => {
      method.repeat(pass, before[index]?.method ?? null)
    })
  }
}

function rowsOf(array: Values, { begin, end, pass: { extent } }: GhostBatch): Values {
  const row = extent.channels * extent.inner
  return array.subarray(begin * row, end * row)
}
