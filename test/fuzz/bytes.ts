/** Files that were changed by chance: bits, bytes, parts that are missing, repeated or from elsewhere. */

import { batchNormState } from '../../lib/checkpoints/batch-norms.ts'
import {
  BatchNorm1d,
  decodeSafetensors,
  encodeSafetensors,
  findBatchNorms,
  summarize,
} from '../../lib/index.ts'
import { findOnnxBatchNorms, fromOnnx, toOnnx } from '../../lib/interop/onnx/index.ts'
import { below, trained } from '../support/module.ts'
import type { Random } from '../support/random.ts'
import { Fault, isOurs, pick, type Target } from './target.ts'

const checkpoint = encodeSafetensors(
  new Map([...below('layer1.bn', trained(3)), ...below('bn', new BatchNorm1d(2, { positiveScale: true }))]),
  { format: 'pt' },
)
const model = toOnnx(trained(3).eval(), { rank: 2 })

export const safetensors: Target = {
  name: 'safetensors',
  run: (random) =>
    onlyOurErrors(() => {
      const file = decodeSafetensors(changed(random, checkpoint))
      for (const stored of file.tensors.values()) onlyOurErrors(() => stored.read())
      for (const { prefix } of findBatchNorms(file))
        onlyOurErrors(() => summarize(batchNormState(file, prefix)))
    }),
}

export const onnx: Target = {
  name: 'onnx',
  run: (random) =>
    onlyOurErrors(() => {
      const bytes = changed(random, model)
      for (const { name } of findOnnxBatchNorms(bytes)) onlyOurErrors(() => fromOnnx(bytes, { node: name }))
    }),
}

function onlyOurErrors(work: () => unknown): void {
  try {
    work()
  } catch (error) {
    if (error instanceof Fault) throw error
    if (!isOurs(error)) throw new Fault(String((error as Error)?.stack ?? error))
  }
}

/** One to eight changes. */
function changed(random: Random, original: Uint8Array): Uint8Array {
  let bytes: Uint8Array = Uint8Array.from(original)
  for (let left = 1 + random.below(8); left > 0 && bytes.length > 0; left--) {
    const [at, to] = [random.below(bytes.length), random.below(bytes.length)]
    const [begin, end] = [Math.min(at, to), Math.max(at, to)]
    bytes = pick<() => Uint8Array>(random, [
      () => bytes.with(at, bytes[at] ^ (1 << random.below(8))),
      () => bytes.with(at, pick(random, [0, 1, 0x7f, 0x80, 0xff, 0x22, 0x2c, 0x5b, 0x7b, 0x7d])),
      () => bytes.with(random.below(Math.min(8, bytes.length)), random.below(256)),
      () => bytes.slice(0, at),
      () => Uint8Array.from([...bytes.subarray(0, begin), ...bytes.subarray(end)]),
      () => Uint8Array.from([...bytes.subarray(0, end), ...bytes.subarray(begin)]),
    ])()
  }
  return bytes
}
