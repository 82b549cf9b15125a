/**
 * How large errors are, as shares of what is promised: the tables of docs/accuracy.md, in Markdown.
 *
 *     npx tsx test/accuracy-table.ts [--type float32] [--only TEXT] [--beyond] [--pytorch] [--readme]
 *
 * Of each data set (`--only`: those whose name has the text) the worst of all layouts, on the backend in
 * use. `--beyond`: those alone that break the promise. `--pytorch`: Debian's python3-torch beside it, in
 * the layouts that it has. `--readme`: the few data sets and results of the README.
 */
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { activeBackend } from '../lib/index.ts'
import type { FloatType } from '../lib/tensor/data-type.ts'
import { countOf, type Form, formsOf, Problem, type Result, results, type Step } from './support/judge.ts'
import { recipes, typesOf } from './support/recipes.ts'

type Row = Record<Result, number>

const ofReadme: readonly string[] = [
  'N(0, 1)',
  'offset 1e4, std 1e-2',
  'offset 1e6',
  'each 1024 rows at another level',
  'first row 1e30',
  'scale 1e30',
  'U(+-3.4e38)',
  '1e-30 N(0, 1), eps 0, 4 rows',
  'all 1.5, one 1.5 + 2^-23, eps 0',
  'constant 0.1',
  'gradOutput 1e4 + N(0, 1)',
  'gradOutput U(+-1e38)',
]

interface Question {
  readonly name: string
  readonly problem: Problem
  readonly form: Form
}

function questionsOf(type: FloatType): Question[] {
  return Object.entries(recipes)
    .filter(([name, recipe]) => isAsked(name) && typesOf(recipe).includes(type))
    .flatMap(([name, recipe]) => {
      const problems = new Map<number, Problem>()
      return formsOf(recipe).map((form) => {
        const count = countOf(recipe, form)
        const problem = problems.get(count) ?? new Problem(recipe, type, count)
        problems.set(count, problem)
        return { name, problem, form }
      })
    })
}

/** The largest share of each result, by data set. */
function worst(questions: readonly Question[], steps: readonly Step[]): Map<string, Row> {
  const rows = new Map<string, Row>()
  for (const [index, { name, problem, form }] of questions.entries()) {
    const shares = problem.judge(steps[index], form)
    const before = rows.get(name)
    const share = (result: Result) => Math.max(before?.[result] ?? 0, shares[result].share)
    rows.set(name, Object.fromEntries(results.map((result) => [result, share(result)])) as Row)
  }
  return rows
}

/** The same steps in PyTorch, and its version. */
function pytorch(questions: readonly Question[]): { version: string; steps: Step[] } {
  const script = fileURLToPath(new URL('support/pytorch.py', import.meta.url))
  const input = questions.map(({ problem, form }) => JSON.stringify(problem.question(form))).join('\n')
  const { stdout, stderr, status } = spawnSync('/usr/bin/python3', [script], {
    input,
    encoding: 'utf8',
    maxBuffer: 2 ** 30,
  })
  if (status !== 0) throw new Error(`PyTorch (Debian: apt install python3-torch) did not answer: ${stderr}`)
  const [version, ...lines] = stdout.trim().split('\n')
  const decoded = (text: string) => new Float64Array(new Uint8Array(Buffer.from(text, 'base64')).buffer)
  const steps = lines.map((line) => {
    const answers = Object.entries(JSON.parse(line) as Record<Result, string>)
    return Object.fromEntries(answers.map(([result, text]) => [result, decoded(text)])) as unknown as Step
  })
  return { version, steps }
}

function cell(share: number): string {
  if (share === 0) return '0'
  // NaN, or a result where the exact one is 0.
  if (share === Number.POSITIVE_INFINITY) return '∞'
  if (share < 0.001) return '< 0.001'
  return share >= 1e4 ? share.toExponential(0).replace('+', '') : String(Number(share.toPrecision(2)))
}

const { values: options } = parseArgs({
  options: {
    type: { type: 'string' },
    only: { type: 'string', default: '' },
    beyond: { type: 'boolean', default: false },
    pytorch: { type: 'boolean', default: false },
    readme: { type: 'boolean', default: false },
  },
})
const types = options.type
  ? [options.type as FloatType]
  : (['float32', 'float64', 'bfloat16', 'float16'] as const)
const shown = options.readme ? (['y', 'gradInput', 'runningVar'] as const) : results

function isAsked(name: string): boolean {
  return name.includes(options.only) && (!options.readme || ofReadme.includes(name))
}

const { name: backend, instructionSet } = activeBackend()
console.log(`Shares of what is promised, which is 1; ${instructionSet ?? backend}`)

for (const type of types) {
  const questions = questionsOf(type)
  const rows = worst(
    questions,
    questions.map(({ problem, form }) => problem.train(form)),
  )
  // PyTorch's batch norm on the CPU takes no float16.
  const asked = options.pytorch && type !== 'float16' ? questions : []
  const theirs = asked.filter(({ form }) => form.layout === 'channels-first')
  const peer = theirs.length > 0 ? pytorch(theirs) : null
  const theirRows = peer && worst(theirs, peer.steps)

  const titles = shown.map((result) => (peer ? `${result}: ours, PyTorch's` : result))
  console.log(`\n| ${type}${peer ? `; PyTorch ${peer.version}` : ''} | ${titles.join(' | ')} |`)
  console.log(`|---|${shown.map(() => '---').join('|')}|`)
  for (const [name, row] of rows) {
    if (options.beyond && results.every((result) => row[result] <= 1)) continue
    const their = theirRows?.get(name)
    const cells = shown.map((result) => cell(row[result]) + (their ? `, ${cell(their[result])}` : ''))
    console.log(`| ${name} | ${cells.join(' | ')} |`)
  }
}
