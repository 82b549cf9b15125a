/** The documentation: its programs run as they are pasted, give what they say, and name everything there is. */
import { execFileSync } from 'node:child_process'
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import ts from 'typescript'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { saveSafetensors } from '../lib/index.ts'
import packageJson from '../package.json' with { type: 'json' }
import { agrees, blocksOf, pages, programsOf, repository, textOf } from './support/documentation.ts'
import { below, normal, trained } from './support/module.ts'
import { hasOnnxRuntime } from './support/onnxruntime.ts'
import { makePackage } from './support/package.ts'

const folder = mkdtempSync(join(tmpdir(), 'batchnorm-documentation-'))
afterAll(() => rmSync(folder, { recursive: true }))

const programs = pages.flatMap(programsOf)
const fileOf = (index: number) => `${index}.program.mjs`
const needsRuntime = (source: string) => source.includes("'onnxruntime-node'")

const entries = {
  batchnorm: 'lib/index.ts',
  'batchnorm/distributed': 'lib/distributed/index.ts',
  'batchnorm/onnx': 'lib/interop/onnx/index.ts',
  'batchnorm/tfjs': 'lib/interop/tfjs/index.ts',
}
const sources = new Map(
  programs.map(({ source }, index) => [join(repository, `docs/${index}.program.ts`), source]),
)
const types = typeCheckerOf(sources)

describe('each program of the documentation', () => {
  let results: Record<string, { error: string | null; values: string[] }>

  beforeAll(async () => {
    await makePackage(join(folder, 'node_modules/batchnorm'))
    mkdirSync(join(folder, 'node_modules/@tensorflow'))
    for (const name of ['core', 'layers', 'backend-cpu']) {
      symlinkSync(
        join(repository, `node_modules/@tensorflow/tfjs-${name}`),
        join(folder, `node_modules/@tensorflow/tfjs-${name}`),
      )
    }
    if (hasOnnxRuntime) {
      const runtime = process.env.BATCHNORM_ONNXRUNTIME ?? repository
      symlinkSync(
        join(runtime, 'node_modules/onnxruntime-node'),
        join(folder, 'node_modules/onnxruntime-node'),
      )
    }
    // What the pages say is there.
    saveSafetensors(join(folder, 'model.safetensors'), [
      ['fc1.weight', normal([64, 784], 1)],
      ['fc1.bias', normal([64], 2)],
      ...below('bn1', trained(64)),
    ])
    copyFileSync(join(repository, 'test/golden/pytorch.onnx'), join(folder, 'model.onnx'))
    copyFileSync(join(repository, 'test/processes/documented.mjs'), join(folder, 'documented.mjs'))
    for (const [index, { source, runnable }] of programs.entries()) {
      if (hasOnnxRuntime || !needsRuntime(source)) writeFileSync(join(folder, fileOf(index)), runnable)
    }
    results = JSON.parse(
      execFileSync(process.execPath, ['documented.mjs'], { cwd: folder, encoding: 'utf8' }),
    )
  })

  for (const [index, { name, isTyped, source, claims }] of programs.entries()) {
    test.runIf(isTyped)(`${name} has the right types`, () => {
      const file = types.getSourceFile(join(repository, `docs/${index}.program.ts`))
      const faults = [...types.getSyntacticDiagnostics(file), ...types.getSemanticDiagnostics(file)]
      expect(faults.map((fault) => ts.flattenDiagnosticMessageText(fault.messageText, '\n'))).toEqual([])
    })

    test.skipIf(needsRuntime(source) && !hasOnnxRuntime)(`${name} runs, and gives what it says`, () => {
      const { error, values } = results[fileOf(index)]
      expect(error).toBeNull()
      for (const [claim, { line, value }] of claims.entries()) {
        if (!agrees(values[claim], value)) expect(`${line}: ${values[claim]}`).toBe(`${line}: ${value}`)
      }
    })
  }
})

test('a stated value agrees with just what its digits allow', () => {
  expect(agrees('Float32Array(2) [ -1.0954, 0.3651 ]', '[-1.095, 0.365]')).toBe(true)
  expect(agrees('[ -1.096, 0.3651 ]', '[-1.095, 0.365]')).toBe(false)
  expect(agrees('[ 1.0001 ]', '[1]')).toBe(false)
  expect(agrees('[ 1, 2 ]', '[1]')).toBe(false)
  expect(agrees('1 2.5e-8 x', '1 2.5e-8')).toBe(false)
  expect(agrees('TypeError: Expected 3 but received 4', 'TypeError: Expected 3...')).toBe(true)
})

describe('each command of the documentation is there', () => {
  const written = ['CONTRIBUTING.md', 'bench/README.md', ...pages]
    .flatMap((page) => blocksOf(page, ['sh', 'console']))
    .flatMap(({ page, source }) => source.split('\n').map((line) => ({ page, line })))
  const commandLine = textOf('cli/main.ts') + textOf('cli/explain/options.ts')

  test('npm run', () => {
    const names = written.flatMap(({ line }) =>
      [...line.matchAll(/npm run (\w[\w:-]*)/g)].map(([, name]) => name),
    )
    expect(Object.keys(packageJson.scripts)).toEqual(expect.arrayContaining(names))
  })

  test('npx batchnorm', () => {
    const calls = written.filter(({ line }) => /^(\$ )?npx batchnorm /.test(line))
    for (const { line } of calls) {
      const [, command, rest] = line.match(/npx batchnorm (\w+)(.*?)(?: #.*)?$/) as RegExpMatchArray
      expect(commandLine).toMatch(new RegExp(`command\\('${command}'\\)`))
      for (const [, option] of rest.matchAll(/ (--?[a-z-]+)/g))
        expect(commandLine).toMatch(new RegExp(`'.*${option}[ ,']`))
    }
  })

  test('files', () => {
    const files = written.flatMap(
      ({ line }) => line.match(/(?:^|\s)(?:\.ci|test|native|lib|bench)\/[\w./-]+/g) ?? [],
    )
    expect(files.map((file) => file.trim()).filter((file) => !existsSync(join(repository, file)))).toEqual([])
  })
})

test('each link leads to a file, and to a heading of it', () => {
  const slugOf = (heading: string) =>
    heading
      .toLowerCase()
      .replace(/[^\w -]/g, '')
      .replace(/ /g, '-')
  const leadsAstray = (page: string, [, path, heading]: string[]) => {
    const target = path === '' ? page : join(page, '..', path)
    if (!existsSync(join(repository, target))) return true
    const headings = heading === undefined ? [] : [...textOf(target).matchAll(/^#+ (.*)$/gm)]
    return heading !== undefined && !headings.some(([, each]) => slugOf(each) === heading)
  }
  const astray = [...pages, 'ARCHITECTURE.md', 'CONTRIBUTING.md', 'bench/README.md'].flatMap((page) =>
    [...textOf(page).matchAll(/\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)/g)]
      .filter((link) => leadsAstray(page, link))
      .map(([link]) => `${page}: ${link}`),
  )
  expect(astray).toEqual([])
})

test('everything that is exported, and every option, is on a page', () => {
  const checker = types.getTypeChecker()
  const text = pages.map(textOf).join('\n')
  const missing = namesOf(checker, types).filter((name) => !new RegExp(`\\b${name}\\b`).test(text))
  expect(missing).toEqual([])
})

/** The functions and classes of the public face, what modules have, and the fields of all options. */
function namesOf(checker: ts.TypeChecker, program: ts.Program): string[] {
  const files = [...Object.values(entries), 'lib/functional/index.ts'].map((file) => join(repository, file))
  const exported = files.flatMap((file) => {
    const module = checker.getSymbolAtLocation(program.getSourceFile(file) as ts.SourceFile) as ts.Symbol
    return checker.getExportsOfModule(module)
  })
  return exported.flatMap((symbol) => {
    const target = symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol
    const own = target.flags & ts.SymbolFlags.Value && !isTypeOnly(symbol) ? [symbol.name] : []
    const isOpen = symbol.name === 'BatchNorm' || symbol.name.endsWith('Options')
    const fields = isOpen ? checker.getDeclaredTypeOfSymbol(target).getProperties() : []
    return [...own, ...fields.filter(isPublic).map(({ name }) => name)]
  })
}

function isPublic(field: ts.Symbol): boolean {
  const flags = field.valueDeclaration ? ts.getCombinedModifierFlags(field.valueDeclaration) : 0
  const isInternal = field.getJsDocTags().some(({ name }) => name === 'internal')
  return !isInternal && !(flags & ts.ModifierFlags.Protected) && /^[a-z]/i.test(field.name)
}

function isTypeOnly({ declarations = [] }: ts.Symbol): boolean {
  return declarations.some((each) => ts.isExportSpecifier(each) && ts.isTypeOnlyExportDeclaration(each))
}

/** One program over all of them, which knows the package by its sources. */
function typeCheckerOf(files: ReadonlyMap<string, string>): ts.Program {
  const { config } = ts.readConfigFile(join(repository, 'tsconfig.json'), ts.sys.readFile)
  const { options } = ts.convertCompilerOptionsFromJson(config.compilerOptions, repository)
  const paths = Object.fromEntries(
    Object.entries(entries).map(([name, file]) => [name, [join(repository, file)]]),
  )
  const settings: ts.CompilerOptions = {
    ...options,
    noUnusedLocals: false,
    noUnusedParameters: false,
    paths: { ...paths, 'onnxruntime-node': [join(repository, 'node_modules/onnxruntime-common')] },
  }
  const host = ts.createCompilerHost(settings)
  const { getSourceFile, fileExists } = host
  host.fileExists = (name) => files.has(name) || fileExists(name)
  host.getSourceFile = (name, target, ...rest) => {
    const source = files.get(name)
    return source === undefined
      ? getSourceFile(name, target, ...rest)
      : ts.createSourceFile(name, source, target)
  }
  const roots = Object.values(entries).map((file) => join(repository, file))
  return ts.createProgram({ rootNames: [...files.keys(), ...roots], options: settings, host })
}
