/** The package as it is built: bundled into programs, and beside addons that are not its own. */
import { execFile } from 'node:child_process'
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { nodeFileTrace } from '@vercel/nft'
import { build } from 'esbuild'
import { rollup } from 'rollup'
import { build as buildWithVite } from 'vite'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import webpack from 'webpack'
import { identity } from '../native/identity.mjs'
import packageJson from '../package.json' with { type: 'json' }
import { natives } from './support/backends.ts'
import { addForeignAddon } from './support/foreign-addon.ts'
import { describePackage } from './support/linked-package.ts'
import { makePackage } from './support/package.ts'

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
const right = { signs: [-1, -1, 1, 1], isOneCopy: true, warnings: 0 }
const fallback = { ...right, name: 'typescript', warnings: 1 }
const inCommonJs = imports.replaceAll(/import (.*) from (.*)/g, 'const $1 = require($2)')

/** What a program says, in a process of its own, and how often it warns of the backend. */
async function saidBy(file: string): Promise<unknown> {
  const { PATH = '' } = process.env
  const { stdout, stderr } = await promisify(execFile)(process.execPath, [file], { env: { PATH } })
  return { ...JSON.parse(stdout), warnings: stderr.match(/BATCHNORM_TYPESCRIPT_BACKEND/g)?.length ?? 0 }
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
  const withVite = (format: Format, file: string) =>
    buildWithVite({
      root: program,
      configFile: false,
      logLevel: 'error',
      ssr: { noExternal: true },
      build: {
        ssr: 'source.mjs',
        outDir: dirname(file),
        emptyOutDir: false,
        rollupOptions: { output: { format, entryFileNames: basename(file), inlineDynamicImports: true } },
      },
    })
  const bundlers = [
    { bundler: 'esbuild', source: 'mjs', write: withEsbuild('source.mjs') },
    { bundler: 'esbuild', source: 'cjs', write: withEsbuild('source.cjs') },
    { bundler: 'rollup', source: 'mjs', write: withRollup },
    { bundler: 'vite', source: 'mjs', write: withVite },
  ]
  const cases = bundlers.flatMap((each) => (['cjs', 'esm'] as const).map((format) => ({ ...each, format })))

  test.concurrent.each(cases)(
    '$bundler: .$source as $format',
    async ({ bundler, source, format, write }) => {
      const file = `${bundler}-${source}.${format === 'cjs' ? 'cjs' : 'mjs'}`
      const built = join(program, 'dist', file)
      await write(format, built)
      const moved = join(folder, 'moved', 'dist', file)
      cpSync(built, moved)
      const loadError = expect.stringMatching(/\(mark batchnorm as external in the bundler/)
      const expected = { ...fallback, loadError }
      expect(await saidBy(built), 'beside the addon of another package').toEqual(expected)
      expect(await saidBy(moved), 'in a folder without packages').toEqual(expected)
    },
    300_000,
  )

  test.runIf(natives.length > 0)('marked as external it has the addon', async () => {
    const outfile = join(program, 'dist/external.mjs')
    const entryPoints = [join(program, 'source.mjs')]
    const external = ['batchnorm']
    await build({ entryPoints, bundle: true, platform: 'node', format: 'esm', external, outfile })
    expect(await saidBy(outfile)).toEqual({ ...right, name: 'native' })
  })
})

describe.runIf(natives.length > 0)('the addon goes where the program goes:', () => {
  const expected = { ...right, name: 'native' }

  /** Bundles a program, moves the bundle away from where it was made, and gives its file. */
  async function bundledByWebpack(entry: string): Promise<string> {
    const path = `${entry}-webpack`
    const stats = await promisify<webpack.Configuration, webpack.Stats | undefined>(webpack)({
      mode: 'production',
      target: 'node',
      entry,
      output: { path, filename: 'program.cjs' },
      optimization: { minimize: false },
    })
    expect(stats?.toString({ all: false, errors: true, warnings: true })).toBe('')
    renameSync(path, `${path}-moved`)
    return join(`${path}-moved`, 'program.cjs')
  }

  test.concurrent.each(['cjs', 'mjs'])(
    'webpack takes it into the bundle of a .%s',
    async (source) => {
      expect(await saidBy(await bundledByWebpack(join(program, `source.${source}`)))).toEqual(expected)
    },
    300_000,
  )

  test.concurrent('webpack has nothing to take along where no addon lies in the package', async () => {
    const without = join(folder, 'without')
    cpSync(join(ours, 'dist'), join(without, 'node_modules/batchnorm/dist'), { recursive: true })
    cpSync(
      join(import.meta.dirname, '../prebuilds/README.md'),
      join(without, 'node_modules/batchnorm/prebuilds/README.md'),
    )
    describePackage(join(without, 'node_modules/batchnorm'), packageJson)
    writeFileSync(join(without, 'source.mjs'), imports + uses)
    const file = await bundledByWebpack(join(without, 'source.mjs'))
    expect(await saidBy(file)).toMatchObject({ ...fallback, loadError: expect.any(String) })
  }, 300_000)

  test.concurrent.each(['cjs', 'mjs'])('@vercel/nft finds it from a .%s', async (source) => {
    const copy = join(folder, `traced-${source}`)
    const { fileList, warnings } = await nodeFileTrace([join(program, `source.${source}`)], { base: folder })
    expect([...warnings]).toEqual([])
    for (const file of fileList) cpSync(join(folder, file), join(copy, file), { recursive: true })
    expect(await saidBy(join(copy, 'program', `source.${source}`))).toEqual(expected)
  })
})

describe('an addon that is not of this package, version and sources does not serve:', () => {
  /** A package beside ours with the same library, made for another addon, and a program of it. */
  function copyOfPackage(name: string, itsIdentity = identity()): string {
    const root = join(folder, name)
    mkdirSync(join(root, 'dist'), { recursive: true })
    for (const file of readdirSync(join(ours, 'dist')).filter((each) => each.endsWith('.cjs'))) {
      const text = readFileSync(join(ours, 'dist', file), 'utf8')
      writeFileSync(join(root, 'dist', file), text.replaceAll(identity(), itsIdentity))
    }
    describePackage(root, packageJson)
    const [index, onnx] = ['index', 'onnx'].map((entry) => JSON.stringify(join(root, `dist/${entry}.cjs`)))
    const required = inCommonJs.replace("'batchnorm'", index).replace("'batchnorm/onnx'", onnx)
    writeFileSync(join(root, 'program.cjs'), required + uses)
    return root
  }

  test('one of another package', async () => {
    const root = copyOfPackage('beside-foreign')
    addForeignAddon(root)
    const message = new RegExp(`to be the addon of '${identity()}' but received that of another package`)
    const expected = { ...fallback, loadError: expect.stringMatching(message) }
    expect(await saidBy(join(root, 'program.cjs'))).toEqual(expected)
  })

  test.runIf(natives.length > 0).each([
    ['another version', identity().replace(/@\S+/, '@99.0.0')],
    ['other sources', identity().replace(/ .*/, ' 0123456789abcdef')],
  ])('one of %s', async (title, newer) => {
    const root = copyOfPackage(title, newer)
    cpSync(join(ours, 'prebuilds'), join(root, 'prebuilds'), { recursive: true })
    const message = new RegExp(`'${newer}' but received that of '${identity()}' \\(build it again`)
    const expected = { ...fallback, loadError: expect.stringMatching(message) }
    expect(await saidBy(join(root, 'program.cjs'))).toEqual(expected)
  })
})
