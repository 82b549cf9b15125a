/** The examples, as a user runs them: copied beside the installed package, each in a process of its own. */
import { spawn } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { BatchNorm1d, batchNormState, loadSafetensors } from '../lib/index.ts'
import { findOnnxBatchNorms } from '../lib/interop/onnx/index.ts'
import { evaluate, evaluateBatchNorm } from './support/layers.ts'
import { hasOnnxRuntime } from './support/onnxruntime.ts'
import { makePackage } from './support/package.ts'

const folder = mkdtempSync(join(tmpdir(), 'batchnorm-examples-'))
const examples = join(folder, 'examples')
const model = (name: string) => join(examples, 'model', name)
afterAll(() => rmSync(folder, { recursive: true }))

beforeAll(async () => {
  await makePackage(folder)
  cpSync(join(import.meta.dirname, '../examples'), examples, { recursive: true })
  const installed = process.env.BATCHNORM_ONNXRUNTIME
  if (installed) symlinkSync(join(installed, 'node_modules'), join(examples, 'node_modules'))
})

function start(name: string, ...words: string[]) {
  const path = join(examples, `${name}.mjs`)
  return spawn(process.execPath, [path, ...words], { stdio: ['ignore', 'pipe', 'pipe'] })
}

/** What an example prints; that it comes to its end. */
async function said(name: string, ...words: string[]): Promise<string> {
  const example = start(name, ...words)
  const ended = new Promise((resolve) => example.on('exit', resolve))
  const [output, errors] = await Promise.all([text(example.stdout), text(example.stderr)])
  expect(await ended, errors).toBe(0)
  return output
}

/** All numbers behind a word. */
function numbersAfter(word: string, output: string): number[] {
  return [...output.matchAll(new RegExp(`${word}:? +(-?[0-9.e-]+)`, 'g'))].map(([, number]) => Number(number))
}

test.concurrent('ten lines: the running mean has moved by a tenth of the batch', async () => {
  expect(await said('ten-lines')).toMatch(/^running mean +Float32Array\(2\) \[ 0\.25, 2\.5 \]$/m)
})

test.concurrent('training without a framework: the loss falls, and the ring is found', async () => {
  const output = await said('training-loop')
  const losses = numbersAfter('loss', output)
  expect(losses.length).toBeGreaterThan(2)
  expect([...losses].sort((a, b) => b - a)).toEqual(losses)
  expect(losses.at(-1)).toBeLessThan(losses[0] / 3)
  expect(numbersAfter('eval mode', output)[0]).toBeGreaterThan(90)
})

test.concurrent('padded sequences: the padding is not in the mean', async () => {
  const output = await said('padded-sequences')
  expect([numbersAfter('mean, lengths', output), numbersAfter('mean, without', output)]).toEqual([[6], [4]])
})

test.concurrent('TensorFlow.js: with the other layer the model learns the same', async () => {
  const output = await said('tfjs-drop-in')
  const [before, after] = [numbersAfter('from', output), numbersAfter('to', output)]
  expect(before.length).toBe(2)
  expect(Math.max(...after)).toBeLessThan(Math.min(...before) / 5)
  expect(numbersAfter('predictions', output)[0]).toBeLessThan(1e-4)
})

describe('a checkpoint of PyTorch, served with its batch norms folded,', () => {
  let server: ReturnType<typeof start>
  let address: string
  let stated: number
  beforeAll(async () => {
    server = start('serve-folded', model('model.safetensors'))
    for await (const line of createInterface(server.stdout)) {
      stated ??= numbersAfter('from 0 to 1', line)[0]
      address = line.match(/http:\S+/)?.[0] ?? ''
      if (address !== '') break
    }
  })
  afterAll(() => server.kill())
  const ask = (body: string) => fetch(address, { method: 'POST', body })

  test('answers as the network that it was, within the error that it states', async () => {
    const rows = Array.from({ length: 8 }, () => Array.from({ length: 4 }, Math.random))
    const answer = (await (await ask(JSON.stringify(rows))).json()) as number[][]
    expect(stated).toBeGreaterThan(0)
    expect(stated).toBeLessThan(1e-5)
    const expected = unfolded({ data: Float64Array.from(rows.flat()), shape: [8, 4] })
    answer.flat().forEach((value, at) => {
      // The rows that it was measured on were others.
      expect(Math.abs(value - expected[at])).toBeLessThan(4 * stated)
    })
  })

  test('answers both workers, and refuses what is no batch', async () => {
    const answers = await Promise.all(['[[0,0,0,0]]', '[[0,0,0,0]]', '[]', '[[1]]', '{'].map(ask))
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 400, 400])
    expect(await answers[0].text()).toBe(await answers[1].text())
  })
})

/** The network of the checkpoint, in float64. */
function unfolded(x: { data: Float64Array; shape: number[] }): Float64Array {
  using file = loadSafetensors(model('model.safetensors'))
  const layer = (name: string) => ({ weight: file.get(`${name}.weight`), bias: file.get(`${name}.bias`) })
  let values = x
  for (const number of [1, 2]) {
    const bn = new BatchNorm1d(16)
    bn.loadStateDict(batchNormState(file, `bn${number}`))
    const { data, shape } = evaluateBatchNorm(bn.eval(), evaluate(layer(`fc${number}`) as never, values))
    values = { data: data.map((value) => Math.max(0, value)), shape: [...shape] }
  }
  return evaluate(layer('head') as never, values).data
}

test.skipIf(!hasOnnxRuntime)(
  'ONNX: recalibrated, the model is right on other data, and folded, it stays so',
  async () => {
    const recalibrated = model('recalibrated.onnx')
    const output = await said('onnx-recalibrate', model('model.onnx'), recalibrated)
    const [before, after, folded] = numbersAfter('accuracy [a-z ]+', output)
    expect(after).toBeGreaterThan(before + 10)
    expect(folded).toBe(after)
    expect(numbersAfter('largest error', output)[0]).toBeLessThan(1e-4)
    expect(findOnnxBatchNorms(readFileSync(model('model.onnx'))).length).toBe(2)
    expect(findOnnxBatchNorms(readFileSync(recalibrated))).toEqual([])
  },
)
