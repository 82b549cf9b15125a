/** The public face as the compiler sees it: what is exported, with its members. */
import ts from 'typescript'
import { expect, test } from 'vitest'

const entries = [
  'lib/index.ts',
  'lib/distributed/index.ts',
  'lib/interop/onnx/index.ts',
  'lib/interop/tfjs/index.ts',
]
const options: ts.CompilerOptions = {
  module: ts.ModuleKind.ESNext,
  moduleResolution: ts.ModuleResolutionKind.Bundler,
  allowImportingTsExtensions: true,
  noEmit: true,
  // Types are not asked for: whose they are does not matter.
  noLib: true,
  types: [],
}
const host = ts.createCompilerHost(options)
host.resolveModuleNameLiterals = (literals, from) =>
  literals.map(({ text }) =>
    text.startsWith('.') ? ts.resolveModuleName(text, from, options, host) : { resolvedModule: undefined },
  )
const program = ts.createProgram(entries, options, host)
const checker = program.getTypeChecker()
const hidden = ts.ModifierFlags.Private | ts.ModifierFlags.Protected

/** Whether a caller can name it: no `#private`, no constructor, nothing that is `@internal`. */
function isPublic(member: ts.Symbol): boolean {
  const [declaration] = member.declarations ?? []
  return (
    declaration !== undefined &&
    !member.name.startsWith('#') &&
    !ts.isConstructorDeclaration(declaration) &&
    !ts.isTypeParameterDeclaration(declaration) &&
    (ts.getCombinedModifierFlags(declaration) & hidden) === 0 &&
    !member.getJsDocTags(checker).some(({ name }) => name === 'internal')
  )
}

function membersOf(symbol: ts.Symbol): ts.Symbol[] {
  if (symbol.flags & ts.SymbolFlags.Module) return checker.getExportsOfModule(symbol)
  const hasMembers = symbol.flags & (ts.SymbolFlags.Class | ts.SymbolFlags.Interface)
  return hasMembers ? [...(symbol.members?.values() ?? [])].filter(isPublic) : []
}

/** The names below a symbol that no comment stands at. A namespace has that of its file. */
function undocumented(symbol: ts.Symbol, name: string): string[] {
  const meant = symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol
  const isSilent =
    meant.getDocumentationComment(checker).length === 0 && !(meant.flags & ts.SymbolFlags.Module)
  const below = membersOf(meant).flatMap((member) => undocumented(member, `${name}.${member.name}`))
  return isSilent ? [name, ...below] : below
}

test.each(entries)('every public name of %s says what it is', (entry) => {
  const file = checker.getSymbolAtLocation(program.getSourceFile(entry) as ts.SourceFile) as ts.Symbol
  const names = checker.getExportsOfModule(file)
  expect(names).not.toEqual([])
  expect(names.flatMap((symbol) => undocumented(symbol, symbol.name))).toEqual([])
})
