/**
 * The addon's functions as TypeScript declares them and as C++ unpacks them have the same arguments, by name
 * and in the same order.
 */
import { readFileSync } from 'node:fs'
import ts from 'typescript'
import { describe, expect, test } from 'vitest'

const folder = new URL('../native/addon/', import.meta.url)

/** The operations of native/addon/operations, by the names that the addon exports them under. */
function unpacked(): Record<string, string[]> {
  const structs: Record<string, string[]> = {}
  for (const file of ['forward.h', 'backward.h', 'channels.h']) {
    const source = readFileSync(new URL(`operations/${file}`, folder), 'utf8')
    const found = source.matchAll(/struct (\w+) \{\n {2}static constexpr const char\* parameters =([^;]*);/g)
    for (const [, name, literals] of found) {
      const text = [...literals.matchAll(/"([^"]*)"/g)].map(([, part]) => part).join('')
      structs[name] = text.split(' ')
    }
  }
  const exported = readFileSync(new URL('addon.cpp', folder), 'utf8').matchAll(/add\("(\w+)", \w+<(\w+)>\);/g)
  return Object.fromEntries([...exported].map(([, name, struct]) => [name, structs[struct]]))
}

/** The functions of the interface `Addon`, with the labels of their arguments. */
function declared(): Record<string, string[]> {
  const file = new URL('../lib/backend/native.ts', import.meta.url).pathname
  const program = ts.createProgram([file], {
    strict: true,
    noLib: true,
    allowImportingTsExtensions: true,
    noEmit: true,
    module: ts.ModuleKind.ESNext,
    moduleResolution: ts.ModuleResolutionKind.Bundler,
  })
  const checker = program.getTypeChecker()
  const source = program.getSourceFile(file) as ts.SourceFile
  const addon = source.statements.find(
    (statement) => ts.isInterfaceDeclaration(statement) && statement.name.text === 'Addon',
  ) as ts.InterfaceDeclaration
  const methods = checker.getTypeAtLocation(addon).getProperties()
  return Object.fromEntries(
    methods.map((method) => {
      const [signature] = checker.getTypeOfSymbol(method).getCallSignatures()
      return [method.name, signature.getParameters().flatMap((parameter) => namesOf(parameter, checker))]
    }),
  )
}

/** A parameter's name; of a rest parameter the labels of its tuple. */
function namesOf(parameter: ts.Symbol, checker: ts.TypeChecker): string[] {
  const declaration = parameter.valueDeclaration as ts.ParameterDeclaration
  if (!declaration.dotDotDotToken) return [parameter.name]
  const { target } = checker.getTypeOfSymbol(parameter) as ts.TupleTypeReference
  return (target.labeledElementDeclarations ?? []).flatMap((label) => (label ? [label.name.getText()] : []))
}

describe('TypeScript and C++ have the same arguments', () => {
  const cpp = unpacked()
  const typescript = declared()

  test.each(Object.keys(cpp))('%s', (name) => {
    expect(cpp[name]).toEqual(typescript[name])
  })

  test('of every operation', () => {
    const others = [
      'adviseHugePages',
      'supportedInstructionSets',
      'instructionSet',
      'useInstructionSet',
      'threads',
      'setNumThreads',
    ]
    expect(Object.keys(cpp).sort()).toEqual(
      Object.keys(typescript)
        .filter((name) => !others.includes(name))
        .sort(),
    )
  })
})
