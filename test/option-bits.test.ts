/** Every option and every two of them: the bits of the TypeScript backend, here and on another thread. */
import { expect, test } from 'vitest'
import type { BatchNorm, ForwardOptions, Tensor } from '../lib/index.ts'
import { configurations, describeEachBackend, select, share } from './support/backends.ts'
import {
  callOf,
  chosenModule,
  combinations,
  contradicts,
  type Form,
  forms,
  forwardOptions,
} from './support/choices.ts'
import { expectSameBits, normal, snapshot } from './support/module.ts'

/** Larger ones, that threads share out. */
const largeForms: Form[] = [
  { layout: 'channels-first', shape: [300, 2, 90], positions: 90 },
  { layout: 'channels-last', shape: [300, 90, 2], positions: 90 },
]

interface Case {
  readonly title: string
  readonly make: () => BatchNorm
  readonly call: ForwardOptions
  readonly shape: number[]
}

const inputs = new Map(
  [...forms, ...largeForms].map(({ shape }) => [
    String(shape),
    [1, 2].map((seed) => normal([...shape], seed)),
  ]),
)

/** The input and gradient of a shape. */
function given(shape: readonly number[]): Tensor[] {
  return inputs.get(String(shape)) as Tensor[]
}

/** The cases that are no contradictions; those are in gradients.test.ts. */
const cases: Case[] = combinations.flatMap((combination) =>
  [...forms, ...(combination.length === 1 ? largeForms : [])].flatMap((form) =>
    (largeForms.includes(form) ? [true] : [true, false]).flatMap((training) => {
      const shape = [...form.shape]
      const title = combination.map(({ title }) => title).join(', ')
      const made = {
        title: `${title}, ${form.layout}, ${shape}, ${training ? 'training' : 'eval'}`,
        make: () => chosenModule(combination, form, training, 'float32'),
        call: forwardOptions(callOf(combination, form), shape, 'float32'),
        shape,
      }
      const isLength = combination.some(({ key }) => key === 'lengths')
      return (isLength && form.positions === 1) || contradicts(combination, form) ? [] : [made]
    }),
  ),
)

function results({ make, call, shape }: Case) {
  const [x, g] = given(shape)
  const bn = make()
  return { y: bn.forward(x, call), gradInput: bn.backward(g), after: snapshot(bn) }
}

select(configurations[0])
const expected = cases.map(results)

describeEachBackend('the bits of the TypeScript backend', (_, place) => {
  const mine = share([...cases.entries()], 3, place)

  test('here', () => {
    for (const [index, one] of mine) {
      const { y, gradInput, after } = results(one)
      expectSameBits(y, expected[index].y)
      expectSameBits(gradInput, expected[index].gradInput)
      expect(after, one.title).toEqual(expected[index].after)
    }
  })

  test('on another thread, into memory that is there', async () => {
    for (const [index, { make, call, shape, title }] of mine) {
      const bn = make()
      const [x, g] = given(shape)
      const out = new Float32Array(x.data.length).fill(42)
      expectSameBits(await bn.forwardAsync(x, { ...call, out }), expected[index].y)
      expectSameBits(await bn.backwardAsync(g), expected[index].gradInput)
      expect(snapshot(bn), title).toEqual(expected[index].after)
    }
  })
})
