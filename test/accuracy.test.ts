/**
 * The promise of docs/accuracy.md: whatever the values, their layout and their type, every result of a
 * step of training is within its bound of an exact evaluation.
 */
import { describe, expect, test, vi } from 'vitest'
import { BatchNorm1d, tensor } from '../lib/index.ts'
import type { FloatType } from '../lib/tensor/data-type.ts'
import {
  type Configuration,
  configurations,
  describeEachBackend,
  describeNativeAvailability,
  isThorough,
  select,
  share,
} from './support/backends.ts'
import { difference } from './support/bits.ts'
import { broken, countOf, type Form, formsOf, Problem, results, type Step } from './support/judge.ts'
import { largeRecipes, type Recipe, recipes, typesOf } from './support/recipes.ts'

const types: readonly FloatType[] = ['float32', 'float64', 'bfloat16', 'float16']

function sameBits(a: Step, b: Step): boolean {
  return results.every((result) => difference(a[result], b[result]) === null)
}

/** What breaks the promise, in words. Backends that give the same bits are judged once. */
function complaints(
  recipe: Recipe,
  type: FloatType,
  ofForms: readonly Form[],
  on: readonly Configuration[] = configurations,
): string[] {
  const problems = new Map<number, Problem>()
  return ofForms.flatMap((form) => {
    const count = countOf(recipe, form)
    const problem = problems.get(count) ?? new Problem(recipe, type, count)
    problems.set(count, problem)
    const judged: Step[] = []
    return on.flatMap((configuration) => {
      select(configuration)
      const step = problem.train(form)
      if (judged.some((other) => sameBits(step, other))) return []
      judged.push(step)
      const shares = problem.judge(step, form)
      return broken(shares).map((words) => `${configuration.title}, ${form.name}: ${words}`)
    })
  })
}

// That a variance is beyond float32 is part of some recipes.
vi.spyOn(process, 'emitWarning').mockImplementation(() => {})

describeNativeAvailability()

describe.each(types)('%s: every result is within the promise', (type) => {
  const names = Object.keys(recipes).filter((name) => typesOf(recipes[name]).includes(type))
  test.each(share(names, 2, types.indexOf(type)))('%s', (name) => {
    expect(complaints(recipes[name], type, formsOf(recipes[name]))).toEqual([])
  })
})

describe('nothing drifts with the number of rows', () => {
  // Ten million rows in float32 alone, for the memory that they take, and in `npm run test:all`.
  const cases = Object.entries(largeRecipes).flatMap(([name, recipe], index) =>
    typesOf(recipe).flatMap((type) => {
      const lengths = isThorough ? (type === 'float32' ? [1e6, 1e7] : [1e6]) : index === 0 ? [1e6] : []
      return lengths.map((rows) => ({ rows, name, type, recipe: { ...recipe, rows } }))
    }),
  )
  test.each(cases)(
    '$type, $name, $rows rows',
    ({ recipe, type }) => {
      const ofForms = formsOf(recipe).filter(({ positions }) =>
        (isThorough ? [null, 'all'] : [null]).includes(positions as 'all' | null),
      )
      // The specification and the best of the others: all give the same bits, which is another suite's promise.
      expect(complaints(recipe, type, ofForms, configurations.slice(0, 2))).toEqual([])
    },
    600_000,
  )
})

describeEachBackend('a constant channel', () => {
  test.each([0, 0.1, 1e8, -3e-5, 3e38, 1e-40])('of %d gives exactly its bias, with eps 0 too', (constant) => {
    for (const eps of [0, 1e-5]) {
      const module = new BatchNorm1d(64, { eps })
      const { weight, bias } = module
      if (weight === null || bias === null) throw new Error('an affine module has both')
      for (let channel = 0; channel < 64; channel++) {
        weight.data[channel] = channel % 3 === 0 ? 3e38 : channel - 30
        bias.data[channel] = channel % 2 === 0 ? -3e38 : 1 / (channel + 1)
      }
      const y = module.forward(tensor(new Float32Array(512 * 64).fill(constant), [512, 64]))
      const expected = y.data.map((_, index) => bias.data[index % 64])
      expect(difference(y.data, expected)).toBeNull()
    }
  })
})
