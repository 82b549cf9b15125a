/** Every public field of a module is honoured, checked, or refuses to be set, and then nothing has changed. */
import { runInThisContext } from 'node:vm'
import { describe, expect, test } from 'vitest'
import {
  type AnyBatchNorm,
  BatchNorm1d,
  BatchNorm2d,
  decodeSafetensors,
  encodeSafetensors,
  LazyBatchNorm1d,
  MicroBatches,
  Moments,
  toAffine,
} from '../lib/index.ts'
import { expectSameBits, normal, snapshot, trained } from './support/module.ts'

/** Sets a property in sloppy mode, where JavaScript passes over what cannot be set in silence. */
const set = runInThisContext('(function (object, name, value) { object[name] = value })') as (
  object: object,
  name: string,
  value: unknown,
) => void

/** All that a class and its parents have getters for, and what an object has itself. */
function namesOf(object: object): string[] {
  const names: string[] = []
  for (let level = object; level !== Object.prototype; level = Object.getPrototypeOf(level)) {
    for (const [name, { get, value }] of Object.entries(Object.getOwnPropertyDescriptors(level))) {
      if (get !== undefined || typeof value !== 'function') names.push(name)
    }
  }
  return [...new Set(names)]
}

/** What can be set, with a value that is and one that is not. */
const settable: Record<string, [valid: unknown, invalid: unknown]> = {
  eps: [1, -1],
  momentum: [null, 2],
  training: [false, 'eval'],
  useBatchStats: [true, 1],
  updateStats: [false, 'no'],
  trainAffine: [false, null],
}

const modules: Record<string, () => AnyBatchNorm> = {
  BatchNorm1d: () => trained(3),
  'BatchNorm1d with other options': () =>
    new BatchNorm1d(3, {
      positiveScale: true,
      activation: 'leakyRelu',
      renorm: true,
      layout: 'channels-last',
    }),
  'BatchNorm1d without anything': () => new BatchNorm1d(3, { affine: false, trackRunningStats: false }),
  BatchNorm2d: () => new BatchNorm2d(3, { dtype: 'float64' }),
  'LazyBatchNorm1d that knows its channels': () => {
    const lazy = new LazyBatchNorm1d()
    lazy.forward(normal([4, 3], 1))
    return lazy
  },
}

describe.each(Object.entries(modules))('of %s', (_, make) => {
  test.each(namesOf(make()))('%s', (name) => {
    const [valid, invalid] = settable[name] ?? []
    const module = make()
    const before = snapshot(module)
    const value = Reflect.get(module, name)
    for (const given of name in settable
      ? [invalid]
      : [undefined, null, 7, 'nope', true, new Float32Array(3), value]) {
      expect(() => set(module, name, given), String(given)).toThrow(/^Expected .* but received /)
      expect(Reflect.get(module, name)).toEqual(value)
    }
    expect(snapshot(module)).toEqual(before)
    if (name in settable) {
      set(module, name, valid)
      expect(Reflect.get(module, name)).toBe(valid)
    }
  })

  test.each(['weight', 'bias', 'runningMean', 'runningVar', 'numBatchesTracked'] as const)('%s', (name) => {
    const module = make()
    const tensor = module[name]
    if (tensor === null) return
    const before = snapshot(module)
    const fixed = 'grad' in tensor ? ['data', 'shape', 'dtype', 'grad'] : ['data', 'shape', 'dtype']
    for (const field of fixed) {
      const value = Reflect.get(tensor, field)
      for (const given of [null, [3], Float32Array.of(2, 2, 2), value]) {
        expect(() => set(tensor, field, given)).toThrow(`.${field} to be left as it is but received`)
        expect(Reflect.get(tensor, field)).toBe(value)
      }
    }
    expect(snapshot(module)).toEqual(before)
  })
})

test('the refusal says what to do instead', () => {
  const bn = trained(1).eval()
  expect(() => set(bn.weight as object, 'data', Float32Array.of(2))).toThrow(
    'Expected parameter.data to be left as it is but received a Float32Array of length 1 (data.set(values) changes its values)',
  )
  expect(() => set(bn, 'trackRunningStats', false)).toThrow('useBatchStats = true normalizes with the batch')
  expect(() => set(bn, 'nonFinite', 'skip')).toThrow('{ ...module.options, nonFinite }')
})

test('values that are set where it says count everywhere', () => {
  const bn = trained(2).eval()
  bn.weight?.data.set([2, 3])
  const twin = new BatchNorm1d(2).eval()
  twin.loadStateDict(bn.stateDict())
  const x = normal([3, 2], 4)
  expectSameBits(bn.forward(x), twin.forward(x))
  expect(toAffine(bn)).toEqual(toAffine(twin))
})

test('what an optimizer is told of a parameter is checked', () => {
  const { weight } = trained(2)
  if (weight === null) throw new Error('no weight')
  weight.decay = true
  expect(weight.decay).toBe(true)
  expect(() => set(weight, 'decay', 1)).toThrow('Expected decay to be true or false but received 1')
  expect(() => set(weight, 'requiresGrad', null)).toThrow('Expected requiresGrad to be true or false')
})

test('moments keep their channels and layout, micro-batches their moments', () => {
  const moments = new Moments(3)
  expect(() => set(moments, 'layout', 'channels-last')).toThrow('Expected moments.layout to be left as it is')
  expect(() => set(moments, 'channels', 2)).toThrow('Expected moments.channels to be left as it is')
  expect(() => set(new MicroBatches(trained(3)), 'moments', moments)).toThrow(
    'one MicroBatches for each step',
  )
})

test.each<[string, object, string]>([
  ['a module', trained(2), 'cloneItsStateDictInstead'],
  ['a lazy module', new LazyBatchNorm1d(), 'cloneItsStateDictInstead'],
  ['moments', new Moments(2), 'cloneItsJSONInstead'],
  [
    'a file',
    decodeSafetensors(encodeSafetensors(trained(2).stateDict())) as object,
    'cloneWhatReadGivesInstead',
  ],
  ['micro-batches', new MicroBatches(trained(2)), 'cloneItsJSONInstead'],
])('a clone of %s would be an empty shell: the error says what can be cloned', (_, object, advice) => {
  expect(() => structuredClone(object)).toThrow(advice)
})

test('a module as JSON is its state dict', () => {
  const [bn, read] = [trained(2), new BatchNorm1d(2)]
  read.loadStateDict(JSON.parse(JSON.stringify(bn)))
  expect(snapshot(read).state).toEqual(snapshot(bn).state)
})

test('a state dict, a parameter and the JSON of moments can be cloned', () => {
  const bn = trained(2)
  const clone = new BatchNorm1d(2)
  clone.loadStateDict(structuredClone(bn.stateDict()))
  expect(snapshot(clone).state).toEqual(snapshot(bn).state)
  expect(structuredClone(bn.weight)).toMatchObject({
    data: bn.weight?.data,
    grad: bn.weight?.grad,
    shape: [2],
  })
  const moments = Moments.of(normal([4, 2], 1))
  expect(Moments.fromJSON(structuredClone(moments.toJSON())).toJSON()).toEqual(moments.toJSON())
})
