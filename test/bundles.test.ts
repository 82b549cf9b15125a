/** The package as it is built: bundled into programs, and beside addons that are not its own. */
import { execFile } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { build } from 'esbuild'
import { rollup } from 'rollup'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import packageJson from '../package.json' with { type: 'json' }
import { natives } from './support/backends.ts'
import { addForeignAddon } from './support/foreign-addon.ts'
import { describePackage, makePackage } from './support/package.ts'

type Format = 'cjs' | 'esm'

const folder = mkdtempSync(join(tmpdir(), 'batchnorm-bundles-'))
const ours = join(folder, 'batchnorm')
const program = join(folder, 'program')
afterAll(() => rmSync(folder, { recursive: true }))

const imports = `
  import { activeBackend, BatchNorm1d, functional, tensor } from 'batchnorm'
  import { fromOnnx, toOnnx } from 'batchnorm/onnx'`
const uses = `
  const bn = new BatchNorm1d(1)
  const y = bn.forward(tensor([[1], [2], [4], [5]]))
  const isOneCopy = fromOnnx(toOnnx(bn)).module instanceof BatchNorm1d && 'batchNorm' in functional
  const { name, loadError } = activeBackend()
  console.log(JSON.stringify({ signs: [...y.data].map(Math.sign), isOneCopy, name, loadError: loadError?.message }))`
const right = { signs: [-1, -1, 1, 1], isOneCopy: true }
const inCommonJs = imports.replaceAll(/import (.*) from (.*)/g, 'const $1 = require($2)')

/** What a program says, in a process of its own. */
async function saidBy(file: string): Promise<unknown> {
  const { PATH = '' } = process.env
  const { stdout } = await promisify(execFile)(process.execPath, [file], { env: { PATH } })
  return JSON.parse(stdout)
}

beforeAll(async () => {
  await makePackage(ours)
  describePackage(program, { name: 'program', version: packageJson.version })
  mkdirSync(join(program, 'node_modules'))
  symlinkSync(ours, join(program, 'node_modules/batchnorm'))
  writeFileSync(join(program, 'source.mjs'), imports + uses)
  writeFileSync(join(program, 'source.cjs'), inCommonJs + uses)
  addForeignAddon(program)
})

describe('a program that was bundled runs, on the TypeScript backend, and loadError has the remedy', () => {
  const withEsbuild = (source: string) => (format: Format, outfile: string) =>
    build({ entryPoints: [join(program, source)], bundle: true, platform: 'node', format, outfile })
  const withRollup = async (format: Format, file: string) => {
    const name = 'batchnorm'
    const resolveId = (id: string) =>
      id.startsWith(name) ? join(ours, 'dist', `${id.slice(name.length + 1) || 'index'}.js`) : null
    const bundle = await rollup({
      input: join(program, 'source.mjs'),
      external: /^node:/,
      plugins: [{ name: 'resolve', resolveId }],
    })
    await bundle.write({ file, format, inlineDynamicImports: true })
  }
  const bundlers = [
    { bundler: 'esbuild', source: 'mjs', write: withEsbuild('source.mjs') },
    { bundler: 'esbuild', source: 'cjs', write: withEsbuild('source.cjs') },
    { bundler: 'rollup', source: 'mjs', write: withRollup },
  ]
  const cases = bundlers.flatMap((each) => (['cjs', 'esm'] as const).map((format) => ({ ...each, format })))

  test.concurrent.each(cases)('$bundler: .$source as $format', async ({ bundler, source, format, write }) => {
    const file = `${bundler}-${source}.${format === 'cjs' ? 'cjs' : 'mjs'}`
    const built = join(program, 'dist', file)
    await write(format, built)
    const moved = join(folder, 'moved', 'dist', file)
    cpSync(built, moved)
    const loadError = expect.stringMatching(/\(mark batchnorm as external in the bundler/)
    const expected = { ...right, name: 'typescript', loadError }
    expect(await saidBy(built), 'beside the addon of another package').toEqual(expected)
    expect(await saidBy(moved), 'in a folder without packages').toEqual(expected)
  })

  test.runIf(natives.length > 0)('marked as external it has the addon', async () => {
    const outfile = join(program, 'dist/external.mjs')
    const entryPoints = [join(program, 'source.mjs')]
    const external = ['batchnorm']
    await build({ entryPoints, bundle: true, platform: 'node', format: 'esm', external, outfile })
    expect(await saidBy(outfile)).toEqual({ ...right, name: 'native' })
  })
})

describe('an addon that is not of this package and version does not serve:', () => {
  /** A package beside ours with the same library, and a program of it. */
  function copyOfPackage(name: string, version: string): string {
    const root = join(folder, name)
    cpSync(join(ours, 'dist'), join(root, 'dist'), { recursive: true })
    symlinkSync(join(ours, 'node_modules'), join(root, 'node_modules'))
    describePackage(root, { ...packageJson, version })
    const [index, onnx] = ['index', 'onnx'].map((entry) => JSON.stringify(join(root, `dist/${entry}.cjs`)))
    const required = inCommonJs.replace("'batchnorm'", index).replace("'batchnorm/onnx'", onnx)
    writeFileSync(join(root, 'program.cjs'), required + uses)
    return root
  }

  test('one of another package', async () => {
    const root = copyOfPackage('beside-foreign', packageJson.version)
    addForeignAddon(root)
    const message = new RegExp(
      `foreign.node to be the addon of 'batchnorm@${packageJson.version}' but received that of another package`,
    )
    const expected = { ...right, name: 'typescript', loadError: expect.stringMatching(message) }
    expect(await saidBy(join(root, 'program.cjs'))).toEqual(expected)
  })

  test.runIf(natives.length > 0)('one of another version', async () => {
    const root = copyOfPackage('newer', '99.0.0')
    symlinkSync(join(ours, 'build'), join(root, 'build'))
    const message = /'batchnorm@99\.0\.0' but received that of 'batchnorm@.*build it again/
    const expected = { ...right, name: 'typescript', loadError: expect.stringMatching(message) }
    expect(await saidBy(join(root, 'program.cjs'))).toEqual(expected)
  })
})
