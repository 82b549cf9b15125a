/** `batchnorm fold` of an .onnx file: what `foldOnnx` makes of it, and what is said of that. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { foldAny } from '../cli/fold-any.ts'
import { foldOnnx } from '../lib/interop/onnx/index.ts'
import type { Node } from '../lib/interop/onnx/messages.ts'
import { normal } from './support/module.ts'
import { network, node, stored } from './support/onnx.ts'
import { hasOnnxRuntime } from './support/onnxruntime.ts'

const folder = mkdtempSync(join(tmpdir(), 'batchnorm-fold-'))
const [model, output] = ['model.onnx', 'folded.onnx'].map((name) => join(folder, name))
afterAll(() => rmSync(folder, { recursive: true }))
beforeEach(() => rmSync(output, { force: true }))

const vectors = ['scale', 'B', 'mean', 'variance'].map((name) => stored(name, [1, 2, 3, 4]))
const weight = stored('W', normal([2, 4], 1).data, [2, 4])
const gemm = node('Gemm', ['X', 'W'], ['H'])
const norm = (input: string, output: string) =>
  node('BatchNormalization', [input, 'scale', 'B', 'mean', 'variance'], [output])
const relu = (input: string, output: string) => node('Relu', [input], [output])

function write(nodes: Node[], sizes: (number | string)[] = ['N', 2]): void {
  writeFileSync(model, network(nodes, [weight, ...vectors], sizes))
}

/** The command, called where ONNX Runtime is installed, or where it is not. */
async function fold(where: string): Promise<string> {
  const cwd = vi.spyOn(process, 'cwd').mockReturnValue(where)
  try {
    return await foldAny(model, { output, force: false })
  } finally {
    cwd.mockRestore()
  }
}

test('folds what can be folded, as foldOnnx does, and says what stays and why', async () => {
  write([gemm, norm('H', 'I'), relu('I', 'J'), norm('J', 'Y')])
  const said = await fold(folder)
  expect(said.split('\n')[2]).toBe('H      I')
  expect(said).toMatch(/^Y stays: before it comes 'Relu', and not one of Conv.*\.$/m)
  expect(said).toContain(`\nWrote ${output}.`)
  expect(readFileSync(output)).toEqual(Buffer.from((await foldOnnx(readFileSync(model))).model))
})

test('nothing that can be folded is an error that says why, and writes nothing', async () => {
  write([relu('X', 'H'), norm('H', 'Y')])
  await expect(fold(folder)).rejects.toMatchObject({
    exitCode: 1,
    message: expect.stringMatching(/can be folded .* Y stays: before it/),
  })
  expect(() => readFileSync(output)).toThrow('ENOENT')
})

describe.skipIf(!hasOnnxRuntime)('with ONNX Runtime', () => {
  const where = process.env.BATCHNORM_ONNXRUNTIME ?? process.cwd()

  test('the largest error is measured, where the file tells what goes in', async () => {
    write([gemm, norm('H', 'Y')])
    const [, error] = (await fold(where)).match(/^Largest error on random inputs: (\S+)\.$/m) ?? []
    expect(Number(error)).toBeGreaterThan(0)
    expect(Number(error)).toBeLessThan(1e-5)
  })

  test('otherwise it is said that it is not', async () => {
    write([gemm, norm('H', 'Y')], ['N', 'C'])
    expect(await fold(where)).toMatch(
      /^Largest error: not measured \(the file does not tell types and sizes/m,
    )
  })
})
