/**
 * How large errors are, as shares of what is promised, for docs/accuracy.md:
 *
 *     npx tsx test/accuracy-table.ts [--type float32] [--only TEXT] [--beyond]
 *
 * Of each data set (`--only`: those whose name has the text) the worst of all layouts, on the backend in
 * use; `--beyond` prints those alone that break the promise.
 */
import { parseArgs } from 'node:util'
import type { FloatType } from '../lib/data-type.ts'
import { activeBackend } from '../lib/index.ts'
import { countOf, formsOf, Problem, results, type Shares } from './support/judge.ts'
import { type Worst, worseOf } from './support/oracle.ts'
import { recipes, typesOf } from './support/recipes.ts'

const { values: options } = parseArgs({
  options: {
    type: { type: 'string' },
    only: { type: 'string', default: '' },
    beyond: { type: 'boolean', default: false },
  },
})

function rowOf(
  name: string,
  type: FloatType,
): Record<(typeof results)[number], Worst & { form: string }> | null {
  const recipe = recipes[name]
  if (!typesOf(recipe).includes(type)) return null
  const problems = new Map<number, Problem>()
  let worst: Record<string, Worst & { form: string }> | null = null
  for (const form of formsOf(recipe)) {
    const count = countOf(recipe, form)
    const problem = problems.get(count) ?? new Problem(recipe, type, count)
    problems.set(count, problem)
    const shares: Shares = problem.judge(problem.train(form), form)
    worst = Object.fromEntries(
      results.map((result) => {
        const here = { ...shares[result], form: form.name }
        return [result, worst === null ? here : worseOf(worst[result], here)]
      }),
    ) as Record<string, Worst & { form: string }>
  }
  return worst as never
}

function cell({ share }: Worst): string {
  if (share === 0) return '0'
  return share >= 1e4 || share < 1e-3 ? share.toExponential(0) : String(Number(share.toPrecision(2)))
}

const types = options.type
  ? [options.type as FloatType]
  : (['float32', 'float64', 'bfloat16', 'float16'] as const)
const { name, instructionSet } = activeBackend()
console.log(`Backend ${name}${instructionSet ? ` ${instructionSet}` : ''}; 1 is what is promised.\n`)
for (const type of types) {
  console.log(`| ${type} | ${results.join(' | ')} |`)
  console.log(`|---|${results.map(() => '---').join('|')}|`)
  for (const recipe of Object.keys(recipes)) {
    if (!recipe.includes(options.only)) continue
    const row = rowOf(recipe, type)
    if (row === null) continue
    if (options.beyond && results.every((result) => row[result].share <= 1)) continue
    console.log(`| ${recipe} | ${results.map((result) => cell(row[result])).join(' | ')} |`)
  }
  console.log('')
}
