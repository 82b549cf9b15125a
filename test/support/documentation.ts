/** The documentation as programs: what a reader pastes, and the values that it says they give. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import ts from 'typescript'

export const repository = join(import.meta.dirname, '../..')

const docs = readdirSync(join(repository, 'docs')).filter((name) => name.endsWith('.md'))

/** What is written for users. */
export const pages = ['README.md', 'examples/README.md', ...docs.map((name) => `docs/${name}`)]

export const textOf = (page: string) => readFileSync(join(repository, page), 'utf8')

interface Block {
  readonly page: string
  readonly line: number
  readonly language: string
  readonly source: string
}

/** The fenced blocks of a page that are in one of these languages. */
export function blocksOf(page: string, languages: readonly string[]): Block[] {
  const text = textOf(page)
  const fences = text.matchAll(/^```(\w+).*\n([\s\S]*?)^```$/gm)
  return [...fences]
    .filter(([, language]) => languages.includes(language))
    .map(({ index, 1: language, 2: source }) => {
      const line = text.slice(0, index).split('\n').length + 1
      return { page, line, language, source }
    })
}

/** A value that a page states in a comment `//=> value`, behind an expression or below it. */
export interface Claim {
  readonly line: number
  readonly value: string
}

export interface Program {
  readonly name: string
  readonly isTyped: boolean
  readonly source: string
  readonly claims: readonly Claim[]
  /** The source, in JavaScript, that calls `claimed(claim, () => value)` for each of its claims. */
  readonly runnable: string
}

/** A block that imports begins a program; one that does not goes on from the block above it. */
export function programsOf(page: string): Program[] {
  const programs: Block[] = []
  for (const block of blocksOf(page, ['ts', 'js'])) {
    const last = programs.at(-1)
    if (/^import /m.test(block.source)) programs.push(block)
    else if (last === undefined)
      throw new Error(`${page}:${block.line}: nothing is imported above this block`)
    // In its place, so that lines are those of the page.
    else {
      const used = last.line + last.source.split('\n').length - 1
      const between = '\n'.repeat(block.line - used)
      programs[programs.length - 1] = { ...last, source: last.source + between + block.source }
    }
  }
  return programs.map(programOf)
}

function programOf({ page, line, language, source }: Block): Program {
  const claims: Claim[] = []
  let runnable = ''
  let done = 0
  const file = ts.createSourceFile('program.ts', source, ts.ScriptTarget.Latest)
  const visit = (node: ts.Node): void => {
    const value =
      ts.isExpressionStatement(node) && source.slice(node.end).match(/^[^\S\n]*\n?[^\S\n]*\/\/=> (.*)/)?.[1]
    if (!value) {
      ts.forEachChild(node, visit)
      return
    }
    const begin = node.getStart(file)
    runnable += `${source.slice(done, begin)};await claimed(${claims.length}, async () => ${valuesOf(node, file)})`
    done = node.end
    claims.push({ line: line + file.getLineAndCharacterOfPosition(begin).line, value: value.trim() })
  }
  visit(file)
  if (claims.length !== source.split('//=>').length - 1) {
    throw new Error(`${page}:${line}: a comment //=> stands neither behind an expression nor below one`)
  }
  runnable += source.slice(done)
  const { outputText } = ts.transpileModule(runnable, {
    compilerOptions: {
      target: ts.ScriptTarget.ES2022,
      module: ts.ModuleKind.ESNext,
      verbatimModuleSyntax: true,
    },
  })
  return { name: `${page}:${line}`, isTyped: language === 'ts', source, claims, runnable: outputText }
}

/** The values that an expression shows: the arguments of `console.log`, or itself. */
function valuesOf({ expression }: ts.ExpressionStatement, file: ts.SourceFile): string {
  const logs = ts.isCallExpression(expression) && expression.expression.getText(file) === 'console.log'
  const shown = logs ? expression.arguments : [expression]
  return `[${shown.map((each) => each.getText(file)).join(', ')}]`
}

const number = /-?(?:\d+\.?\d*(?:e[+-]?\d+)?|Infinity)/g

/**
 * Whether a value is the one that is stated: the same text but for spaces and the names of typed arrays, `...` for
 * anything, numbers as near as their last digit tells.
 */
export function agrees(actual: string, stated: string): boolean {
  const [got, said] = [actual, stated].map((text) =>
    text.replace(/\b\w+Array\(\d+\) /g, '').replace(/\s/g, ''),
  )
  const escaped = (text: string) => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
  const parts = said.split('...').map((part) => part.split(number).map(escaped).join(`(${number.source})`))
  const found = got.match(new RegExp(`^${parts.join('.*')}$`))
  const numbers = said.match(number) ?? []
  return found !== null && numbers.every((each, index) => isNear(found[index + 1], each))
}

function isNear(actual: string, stated: string): boolean {
  const [digits, exponent = '0'] = stated.split('e')
  const decimals = digits.split('.')[1]?.length
  if (decimals === undefined) return Number(actual) === Number(stated)
  const unit = 10 ** (Number(exponent) - decimals)
  return Math.abs(Number(actual) - Number(stated)) <= 0.501 * unit
}
