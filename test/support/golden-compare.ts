/** Compares answers with PyTorch's, as near as roundings allow. */
import { expect } from 'vitest'
import type { GoldenCase, GoldenStep, Numbers } from './golden.ts'
import { GoldenBounds } from './golden-bounds.ts'
import { halfRounding, unit, unit64 } from './tolerance.ts'

/** What a step gives, under the names of the bounds. */
export type Answers = ReadonlyMap<string, Numbers>

/** Asks for each step in turn, and compares everything that PyTorch showed after it. */
export function compare(golden: GoldenCase, answer: (step: GoldenStep) => Answers): void {
  const { dtype, oracle } = golden
  // We may be off by our roundings, and PyTorch by its own where its type has no more digits.
  const isExact = oracle === 'float64' && dtype !== 'float64'
  const arithmetics = isExact ? (['centred'] as const) : (['centred', 'plain'] as const)
  const sides = arithmetics.map((arithmetic) => new GoldenBounds(golden, arithmetic))
  const digits = dtype === 'float64' ? unit64 / unit : 1
  for (const [number, step] of golden.steps.entries()) {
    const bounds = sides.map((side) => side.next(step))
    const actual = answer(step)
    for (const [key, expected] of expectedOf(step)) {
      const isValue = key === 'output' || key === 'gradInput'
      const bound = (index: number) => {
        const computed = bounds.reduce((sum, ofSide) => sum + digits * ofSide[key](index), 0)
        if (!isValue || (dtype !== 'bfloat16' && dtype !== 'float16')) return computed
        const stored = halfRounding(Math.abs(Number(expected.data[index])) + computed, dtype)
        return computed + (isExact ? 1 : 2) * stored
      }
      const mode = step.training ? 'train' : 'eval'
      expect(disagreement(actual.get(key), expected, bound), `step ${number} (${mode}), ${key}`).toBeNull()
    }
  }
}

/** What PyTorch gave. */
function expectedOf({ output, gradInput, gradients, running }: GoldenStep): Answers {
  const named = [...gradients].map(([key, gradient]): [string, Numbers] => [`${key}.grad`, gradient])
  return new Map<string, Numbers>([['output', output], ['gradInput', gradInput], ...named, ...running])
}

/** The element that is furthest beyond its bound, in words; `null` if there is none. */
export function disagreement(
  actual: Numbers | undefined,
  expected: Numbers,
  bound: (index: number) => number,
): string | null {
  if (actual === undefined) return 'missing'
  if (`${actual.shape}` !== `${expected.shape}`) {
    return `of shape [${actual.shape}], in PyTorch [${expected.shape}]`
  }
  let largest = 1
  let words: string | null = null
  for (let index = 0; index < expected.data.length; index++) {
    const [ours, theirs] = [Number(actual.data[index]), Number(expected.data[index])]
    if (ours === theirs || (Number.isNaN(ours) && Number.isNaN(theirs))) continue
    const excess = Math.abs(ours - theirs) / bound(index)
    if (excess <= largest) continue
    largest = excess
    words = `[${index}]: ${ours}, in PyTorch ${theirs}, ${excess} times as far as roundings explain`
  }
  return words
}
