/** Two copies of the library in one process: what is made by one is taken by the other, as its own. */
import { cpSync, existsSync, mkdtempSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { filled, normal } from './support/module.ts'
import { makePackage } from './support/package.ts'

type Library = typeof import('../lib/index.ts') & typeof import('../lib/interop/onnx/index.ts')
type CopyName = 'ES module' | 'CommonJS' | 'another package'

const folder = mkdtempSync(join(tmpdir(), 'batchnorm-copies-'))
afterAll(() => rmSync(folder, { recursive: true }))

const copies = {} as Record<CopyName, Library>
beforeAll(async () => {
  const [one, other] = [join(folder, 'one'), join(folder, 'other')]
  await makePackage(one)
  for (const part of ['package.json', 'dist', 'node_modules'])
    cpSync(join(one, part), join(other, part), { recursive: true })
  // With an addon of its own, which is loaded beside the first.
  if (existsSync(join(one, 'prebuilds')))
    cpSync(join(one, 'prebuilds'), join(other, 'prebuilds'), { recursive: true })
  const entries = ['dist/index', 'dist/onnx']
  const require = createRequire(import.meta.url)
  const required = (root: string) => entries.map((entry) => require(join(root, `${entry}.cjs`)))
  const imported = entries.map((entry) => import(pathToFileURL(join(one, `${entry}.js`)).href))
  copies['ES module'] = Object.assign({}, ...(await Promise.all(imported)))
  copies.CommonJS = Object.assign({}, ...required(one))
  copies['another package'] = Object.assign({}, ...required(other))
})

const shape = [8, 4]
const [x, other] = [normal(shape, 1), normal(shape, 2)]
const layer = { weight: normal([4, 3], 3), bias: normal([4], 4) }
const next = { weight: normal([2, 4], 5), bias: null }
const identity = { name: 'identity' } as const

/** A module in eval mode, with a state that is not the first one's. */
const moduleOf = ({ BatchNorm1d }: Library) => filled(new BatchNorm1d(4)).eval()

/** What a library makes of a module, or does to it. */
const uses: Record<string, (library: Library, module: ReturnType<typeof moduleOf>) => unknown> = {
  toAffine: ({ toAffine }, bn) => toAffine(bn),
  foldIntoPrevious: ({ foldIntoPrevious }, bn) => foldIntoPrevious(layer, bn),
  foldIntoNext: ({ foldIntoNext }, bn) => foldIntoNext(bn, next),
  absorbScale: ({ absorbScale }, bn) => absorbScale(bn, identity, next),
  collapse: ({ collapse }, bn) => collapse([layer, bn, next]),
  linearity: ({ linearity }, bn) => linearity(bn.train(), x, other),
  setIdentity: ({ setIdentity }, bn) => [setIdentity(bn), bn.stateDict()],
  toConvention: ({ toConvention }, bn) => toConvention('keras', bn),
  toOnnx: ({ toOnnx }, bn) => toOnnx(bn, { rank: 3 }),
  MicroBatches: ({ MicroBatches }, bn) => {
    const step = new MicroBatches(bn.train()).observe(x).observe(other)
    return [step.forward(x), step.forward(other), bn.stateDict()]
  },
  recalibrate: async ({ recalibrate }, bn) => {
    await recalibrate([bn], [x, other], (batch) => bn.forward(batch))
    return bn.stateDict()
  },
}

const pairs: [ours: CopyName, theirs: CopyName][] = [
  ['ES module', 'CommonJS'],
  ['CommonJS', 'ES module'],
  ['ES module', 'another package'],
]

describe.each(pairs)('%s and %s:', (ourName, theirName) => {
  let ours: Library
  let theirs: Library
  beforeEach(() => {
    ours = copies[ourName]
    theirs = copies[theirName]
    expect(ours.BatchNorm1d).not.toBe(theirs.BatchNorm1d)
  })

  test.each(Object.entries(uses))('%s', async (_, use) => {
    const expected = await use(theirs, moduleOf(theirs))
    expect(JSON.stringify(await use(ours, moduleOf(theirs)), asText)).toBe(JSON.stringify(expected, asText))
  })

  test.each(['BatchNorm1d', 'BatchNorm2d', 'BatchNorm3d'] as const)('toOnnx has the axes of a %s', (name) => {
    const module = () => new theirs[name](3).eval()
    expect(ours.toOnnx(module())).toEqual(theirs.toOnnx(module()))
  })

  test('what is no batch norm is refused by both', () => {
    const alike = { ...moduleOf(theirs), forward: () => x, runningMean: null }
    const message = 'Expected module to be a batch norm but received an object with keys'
    for (const library of [ours, theirs]) {
      expect(() => library.toConvention('keras', alike as never)).toThrow(message)
    }
  })

  test('Moments are merged', () => {
    const merged = ours.Moments.of(x).merge(theirs.Moments.of(other) as never)
    expect(merged.toJSON()).toEqual(ours.Moments.of(x).merge(ours.Moments.of(other)).toJSON())
  })

  test('files are read, and their tensors are written again', () => {
    const bytes = theirs.encodeSafetensors(moduleOf(theirs).stateDict())
    const file = theirs.decodeSafetensors(bytes)
    expect(ours.findBatchNorms(file as never).map(({ prefix }) => prefix)).toEqual([''])
    expect(ours.encodeSafetensors(file.tensors as never)).toEqual(bytes)
  })

  test('arrays that an asynchronous call of one uses are kept from the other', async () => {
    const input = normal(shape, 6)
    const call = moduleOf(theirs).forwardAsync(input)
    expect(() => moduleOf(ours).forward(x, { out: input })).toThrow('await that call first')
    await call
    expect(moduleOf(ours).forward(x, { out: input }).data).toBe(input.data)
  })

  test('one recalibrate of a module at a time', async () => {
    const bn = moduleOf(theirs)
    const second = () => ours.recalibrate([bn], [x], (batch) => bn.forward(batch))
    await expect(theirs.recalibrate([bn], [x], second)).rejects.toThrow('Expected recalibrate() of')
  })

  test('backward knows that a module with reuse has written another input over its own', () => {
    const first = new theirs.BatchNorm1d(4, { reuse: true })
    const second = new ours.BatchNorm1d(4)
    second.forward(first.forward(x))
    first.forward(other)
    expect(() => second.backward(x)).toThrow('which has written another one there since')
  })

  test('memory of outputs is of both', () => {
    const rows = normal([4096, 4], 7)
    const waiting = ours.outputMemory().waiting
    const output = theirs.functional.batchNorm(rows, { training: true })
    const { byteLength } = output.data
    const view = ours.tensor(output.data, output.shape)
    view.dispose()
    expect(output.data.length).toBe(0)
    for (const library of [ours, theirs]) expect(library.outputMemory().waiting).toBe(waiting + byteLength)
    ours.functional.batchNorm(rows, { training: true })
    expect(theirs.outputMemory().waiting).toBe(waiting)
  })
})

/** Typed arrays as their numbers, modules as what they print and hold. */
function asText(_: string, value: unknown): unknown {
  if (ArrayBuffer.isView(value)) return Array.from(value as unknown as ArrayLike<number | bigint>, String)
  const isModule = typeof value === 'object' && value !== null && 'stateDict' in value
  return isModule ? [String(value), (value as ReturnType<typeof moduleOf>).stateDict()] : value
}
