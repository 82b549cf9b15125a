/** What PyTorch exports: equal parameters that it merges, a variance that is unbiased already, momentum=None. */
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { BatchNorm2d, type State } from '../lib/index.ts'
import { findOnnxBatchNorms, fromOnnx, toOnnx } from '../lib/interop/onnx/index.ts'
import { changed, float } from './support/onnx.ts'

const fresh = new Uint8Array(readFileSync(new URL('golden/pytorch-fresh.onnx', import.meta.url)))

test('fresh batch norms, whose parameters PyTorch has merged, are read as they were', () => {
  const nodes = ['/0/BatchNormalization', '/2/BatchNormalization', '/3/BatchNormalization']
  expect(findOnnxBatchNorms(fresh)).toEqual([
    { name: nodes[0], rank: 4 },
    { name: nodes[1], rank: null },
    { name: nodes[2], rank: 4 },
  ])
  const [first, second, third] = nodes.map((node) => fromOnnx(fresh, { node, rank: 4 }))
  const initial = new BatchNorm2d(3).stateDict()
  for (const { module } of [first, second, third]) expect(module.stateDict()).toEqual(initial)
  expect([first.notes, second.notes]).toEqual([[], []])
  expect([second.module.eps, second.module.momentum]).toEqual([1e-3, 0.1])
  expect(third.module.momentum).toBe(0)
  expect(third.notes).toEqual([
    expect.stringMatching(/^momentum is 0, as PyTorch writes momentum=None: .* stay/),
  ])
})

describe('notes go with what wrote the file:', () => {
  const fileOf = (producer: string, momentum: number) =>
    changed(toOnnx(new BatchNorm2d(3).eval()), (_graph, node, model) => {
      model.producerName = producer
      node.attribute = [float('momentum', momentum)]
    })
  test.each<[string, number, number | undefined, RegExp[]]>([
    ['pytorch', 0.9, undefined, []],
    [
      'pytorch',
      1,
      undefined,
      [/^momentum is 0, .* stay as they are in training\. Set module\.momentum = null/],
    ],
    ['pytorch', 0, undefined, [/^momentum is 1, .* become those of the last batch in training/]],
    ['pytorch', 0.9, 2, [/^valuesPerChannel is left out: .* unbiased variance already/]],
    ['tf2onnx', 1, undefined, []],
    ['tf2onnx', 0, 2, []],
  ])('%s, momentum %d, valuesPerChannel %s', (producer, momentum, valuesPerChannel, expected) => {
    const { module, notes } = fromOnnx(fileOf(producer, momentum), { valuesPerChannel })
    expect(notes).toEqual(expected.map((each) => expect.stringMatching(each)))
    const isBiased = producer === 'tf2onnx' && valuesPerChannel === undefined
    expect(module.storedVariance).toBe(isBiased ? 'biased' : 'unbiased')
    const isConverted = producer === 'tf2onnx' && valuesPerChannel === 2
    expect(module.runningVar?.data).toEqual(new Float32Array(3).fill(isConverted ? 2 : 1))
  })
})

interface Export {
  readonly training: boolean
  readonly rank: number
  readonly norms: readonly { eps: number; momentum: number; tensors: Record<string, number[]> }[]
  readonly hex: string
}

const python = '/usr/bin/python3'
const hasPyTorch = spawnSync(python, ['-c', 'import torch, onnx']).status === 0
if (!hasPyTorch) console.warn('NOT TESTED: exports of PyTorch. apt-get install python3-torch python3-onnx')

test.skipIf(!hasPyTorch)(
  'each export of the PyTorch that is installed is read as it was, without a note',
  () => {
    const script = fileURLToPath(new URL('support/export-onnx.py', import.meta.url))
    // Without what .ci/with-sanitizer preloads.
    const env = { ...process.env, LD_PRELOAD: undefined }
    const { stdout } = spawnSync(python, [script], { encoding: 'utf8', maxBuffer: 2 ** 28, env })
    const files = stdout
      .trim()
      .split('\n')
      .map((line): Export => JSON.parse(line))
    expect(files).toHaveLength(270)
    for (const { training, rank, norms, hex } of files) {
      const bytes = new Uint8Array(Buffer.from(hex, 'hex'))
      const found = findOnnxBatchNorms(bytes)
      expect(found).toHaveLength(norms.length)
      for (const [index, { name }] of found.entries()) {
        const { module, notes } = fromOnnx(bytes, { node: name, rank })
        const { eps, momentum, tensors } = norms[index]
        const ones = module.weight?.data.map(() => 1) ?? []
        const all = { weight: Array.from(ones), bias: Array.from(ones, () => 0), ...tensors }
        const { num_batches_tracked: _, ...state } = module.stateDict()
        expect(numbersOf(state)).toEqual(all)
        expect([module.eps, module.momentum, module.training, notes]).toEqual([eps, momentum, training, []])
      }
    }
  },
  120_000,
)

function numbersOf(state: State): Record<string, number[]> {
  return Object.fromEntries(
    Object.entries(state).map(([key, value]) => [
      key,
      Array.from((value as { data: ArrayLike<number> }).data),
    ]),
  )
}
