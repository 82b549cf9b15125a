/** A forward and a backward whose results are known, by their hashes. */
import { createHash } from 'node:crypto'
import { activeBackend, BatchNorm1d, type Tensor, tensor, useBackend } from '../../lib/index.ts'

/** What is called, and what is started and lasts longer. */
export const workShapes = { called: [1024, 64], started: [4096, 256] } as const

export type WorkName = keyof typeof workShapes

export interface Hashes {
  readonly y: string
  readonly gradInput: string
}

/** Integers, for x and for gradOutput. */
export function batchOf(name: WorkName): Tensor<Float32Array> {
  const [rows, channels] = workShapes[name]
  return tensor(
    new Float32Array(rows * channels).map((_, index) => index % 1021),
    [rows, channels],
  )
}

export function hashOf({ data }: Pick<Tensor<Float32Array>, 'data'>): string {
  return createHash('sha1').update(data).digest('hex')
}

/** What the specification answers. */
export function knownHashes(): Record<WorkName, Hashes> {
  const { name } = activeBackend()
  useBackend('typescript')
  try {
    return { called: hashesOf('called'), started: hashesOf('started') }
  } finally {
    useBackend(name)
  }
}

function hashesOf(name: WorkName): Hashes {
  const batch = batchOf(name)
  const bn = new BatchNorm1d(workShapes[name][1])
  return { y: hashOf(bn.forward(batch)), gradInput: hashOf(bn.backward(batch)) }
}
