/**
 * The gradients of the gradients are what PyTorch's are: those of sums of gradInput, gradWeight and
 * gradBias, in training and eval, whichever of the three are asked for.
 */
import { expect, test } from 'vitest'
import { functional, type Layout, Tensor, tensor } from '../lib/index.ts'
import { extentOf } from '../lib/tensor/shape.ts'
import { describeEachBackend } from './support/backends.ts'
import { exactStatistics } from './support/exact.ts'
import { type Floats, openGolden } from './support/golden.ts'
import { disagreement } from './support/golden-compare.ts'
import { secondGradientMagnitudes } from './support/second-gradients.ts'
import { unit, unit64 } from './support/tolerance.ts'

/** A case as the metadata of the file tell it. */
interface Words {
  training: boolean
  eps: number
  layout: Layout
  shape: number[]
  given: string[]
  expected: string[]
}

interface Case extends Words {
  name: string
  tensors: ReadonlyMap<string, Floats>
}

const likeInput = new Set(['input', 'gradOutput', 'gradGradInput', 'gradInput', 'gradGradOutput'])

function readCases(): Case[] {
  using file = openGolden('double-backward')
  const cases = JSON.parse(file.metadata.cases) as Record<string, Words>
  const read = (name: string, key: string, shape: number[]): Floats => {
    const { data } = file.get(`${name}/${key}`) as Floats
    return new Tensor(data, likeInput.has(key.replace('expected.', '')) ? shape : [data.length])
  }
  return Object.entries(cases).map(([name, words]) => {
    const keys = [...words.given, ...words.expected.map((key) => `expected.${key}`)]
    const tensors = new Map(keys.map((key) => [key, read(name, key, words.shape)]))
    return { name, ...words, tensors }
  })
}

const cases = readCases()

/** A double backward of the case, from the same numbers in `dtype`, compared with PyTorch's of float64. */
function replay({ training, eps, layout, shape, tensors, expected }: Case, dtype: 'float32' | 'float64') {
  const extent = extentOf(shape, layout)
  const given = (key: string) => {
    const stored = tensors.get(key)
    return stored && (tensor(stored.data, stored.shape, { dtype }) as Floats)
  }
  const [x, gradOutput] = [given('input'), given('gradOutput')] as [Floats, Floats]
  const [gradGradInput, weight] = [given('gradGradInput'), given('weight')]
  const [gradGradWeight, gradGradBias] = [given('gradGradWeight'), given('gradGradBias')]
  const running = [tensors.get('running_mean'), tensors.get('running_var')] as [Floats, Floats]
  const { mean, invstd } = training
    ? exactStatistics(x.data, extent, eps)
    : {
        mean: Float64Array.from(running[0].data),
        invstd: Float64Array.from(running[1].data, (variance) => 1 / Math.sqrt(variance + eps)),
      }
  const second = functional.batchNormDoubleBackward(gradOutput, x, {
    ...{ mean, invstd, weight, training, layout },
    ...{ gradGradInput, gradGradWeight, gradGradBias },
  })

  const magnitudes = secondGradientMagnitudes({
    ...{ x: x.data, gradOutput: gradOutput.data, mean, invstd, extent, training },
    ...{ u: gradGradInput?.data, v: gradGradWeight?.data, w: gradGradBias?.data, weight: weight?.data },
  })
  // A term is a product of at most four that are sums over a channel or statistics, each with count + 4
  // roundings, and of a few factors more. Both sides compute in float64; ours is stored in `dtype`.
  const roundings = 2 * (4 * (extent.outer * extent.inner + 4) + 8)
  for (const key of expected as (keyof typeof magnitudes)[]) {
    const theirs = tensors.get(`expected.${key}`) as Floats
    const bound = (index: number) => {
      const stored = dtype === 'float32' ? unit * Math.abs(theirs.data[index]) : 0
      return roundings * unit64 * magnitudes[key](index) + stored
    }
    expect(second[key].dtype).toBe(dtype)
    expect(disagreement(second[key] as Floats, theirs, bound), key).toBeNull()
  }
}

test('PyTorch 1.13 has answered for every part of a double backward', () => {
  console.log(`${cases.length} golden cases of the double backward`)
  const asked = cases.map(({ given }) => given.filter((key) => key.startsWith('gradGrad')).join())
  expect(new Set(asked).size).toBe(7)
})

describeEachBackend('double backward as PyTorch', () => {
  test.each(cases)('float64: $name', (golden) => replay(golden, 'float64'))
  test.each(cases)('float32: $name', (golden) => replay(golden, 'float32'))
})
