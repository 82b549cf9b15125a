/** `BatchNorm2d` and `BatchNorm3d`: `BatchNorm1d` over all positions of a channel. */
import { describe, expect, test } from 'vitest'
import { BatchNorm1d, BatchNorm2d, BatchNorm3d, type BatchNormOptions, tensor } from '../lib/index.ts'
import { describeEachBackend } from './support/backends.ts'
import { difference } from './support/bits.ts'
import { normal, snapshot } from './support/module.ts'

const options: BatchNormOptions[] = [{}, { momentum: null, center: false }, { trackRunningStats: false }]
const kinds = [
  { Module: BatchNorm2d, sizes: [6, 7], axes: 'H, W' },
  { Module: BatchNorm2d, sizes: [40, 30], axes: 'H, W' },
  { Module: BatchNorm3d, sizes: [3, 4, 5], axes: 'D, H, W' },
]

describeEachBackend('images and volumes', () => {
  describe.each(kinds)('$Module.name, $sizes', ({ Module, sizes }) => {
    const positions = sizes.reduce((product, size) => product * size, 1)
    const [first, last] = [
      [4, 5, ...sizes],
      [4, ...sizes, 5],
    ]

    test.each(options)('gives the bits of BatchNorm1d, step after step and in eval (%o)', (given) => {
      for (const [shape, flat, layout] of [
        [first, [4, 5, positions], 'channels-first'],
        [last, [4, positions, 5], 'channels-last'],
      ] as const) {
        const [module, twin] = [new Module(5, { ...given, layout }), new BatchNorm1d(5, { ...given, layout })]
        for (const training of [true, true, false]) {
          const [x, g] = [normal([...shape], training ? 1 : 2), normal([...shape], 3)]
          const y = module.train(training).forward(x)
          expect(y.shape).toEqual(shape)
          expect(difference(y.data, twin.train(training).forward(tensor(x.data, flat)).data)).toBeNull()
          expect(difference(module.backward(g).data, twin.backward(tensor(g.data, flat)).data)).toBeNull()
          expect(snapshot(module)).toEqual(snapshot(twin))
        }
      }
    })
  })
})

describe.each(kinds)('$Module.name', ({ Module, sizes, axes }) => {
  test('names the shape that it takes', () => {
    const message = `Expected input of shape [N, 5, ${axes}] but received [4, 5]`
    expect(() => new Module(5).forward(normal([4, 5], 1))).toThrow(message)
    expect(() => new Module(5).forward(normal([4, ...sizes, 5], 1))).toThrow(
      "did you mean layout: 'channels-last'?",
    )
  })

  test('prints as in PyTorch', () => {
    const settings = '(5, eps=1e-05, momentum=0.1, affine=True, track_running_stats=True)'
    expect(String(new Module(5))).toBe(`${Module.name}${settings}`)
  })
})
