/** Every option of a batch norm, with a value other than the default, and modules that have one or two of them. */

import {
  type AnyBatchNorm,
  type BatchNorm,
  BatchNorm1d,
  type BatchNormOptions,
  type ForwardOptions,
  type Layout,
  type Tensor,
  tensor,
} from '../../lib/index.ts'
import type { ParameterType } from '../../lib/tensor/data-type.ts'
import type { FloatArray } from './bits.ts'
import { filled, normal, normal64 } from './module.ts'
import { type Problem, runningOf } from './reference.ts'

/** An option of the module, of the call, or `freeze()`. */
export interface Choice {
  /** As it is written, and as an error names it. */
  readonly title: string
  /** Choices of the same key are never made together. */
  readonly key: string
  readonly options?: BatchNormOptions
  /** Of an input with `samples` samples of `positions` positions each. */
  readonly call?: (samples: number, positions: number) => Problem['call']
  readonly frozen?: boolean
}

function option(key: keyof BatchNormOptions, value: unknown): Choice {
  const title = typeof value === 'object' && value !== null ? key : `${key}: ${value}`
  return { title: title.replace(/: ([a-z]+)$/, quoted), key, options: { [key]: value } }
}

function quoted(all: string, word: string): string {
  return ['true', 'false', 'null'].includes(word) ? all : `: '${word}'`
}

/** Every third value is 0. */
function flags(length: number): number[] {
  return Array.from({ length }, (_, index) => (index % 3 === 1 ? 0 : 1))
}

export const choices: readonly Choice[] = [
  option('eps', 0.25),
  option('momentum', null),
  option('affine', false),
  option('scale', false),
  option('center', false),
  option('trackRunningStats', false),
  option('storedVariance', 'biased'),
  option('singleValue', 'running'),
  option('nonFinite', 'skip'),
  option('nonFinite', 'throw'),
  option('useBatchStats', true),
  option('useBatchStats', false),
  option('updateStats', true),
  option('updateStats', false),
  option('trainAffine', true),
  option('trainAffine', false),
  option('positiveScale', true),
  option('virtualBatchSize', 4),
  option('renorm', { rMax: 1.25, dMax: 0.5 }),
  option('reuse', true),
  option('activation', 'relu'),
  {
    title: "activation: 'leakyRelu'",
    key: 'activation',
    options: { activation: 'leakyRelu', negativeSlope: 0.25 },
  },
  { title: 'freeze()', key: 'freeze', frozen: true },
  { title: 'mask', key: 'mask', call: (samples) => ({ mask: flags(samples) }) },
  { title: 'mask', key: 'mask', call: (samples, positions) => ({ mask: flags(samples * positions) }) },
  {
    title: 'lengths',
    key: 'lengths',
    call: (samples, positions) => ({
      lengths: Array.from({ length: samples }, (_, sample) => (sample * 2) % (positions + 1)),
    }),
  },
  {
    title: 'residual',
    key: 'residual',
    call: (samples, positions) => ({ residual: normal([samples * positions * 2], 33).data }),
  },
  {
    title: 'weights',
    key: 'weights',
    call: (samples) => ({ weights: Array.from({ length: samples }, (_, sample) => (sample % 4) / 2) }),
  },
]

/** Every choice alone, and every two that are not of the same key. */
export const combinations: readonly (readonly Choice[])[] = [
  ...choices.map((choice) => [choice]),
  ...choices.flatMap((one, index) =>
    choices.slice(index + 1).flatMap((other) => (other.key === one.key ? [] : [[one, other]])),
  ),
]

/** Shapes of 9 samples, 2 channels and perhaps positions, in either layout. */
export const forms: readonly { layout: Layout; shape: readonly number[]; positions: number }[] = [
  { layout: 'channels-first', shape: [9, 2], positions: 1 },
  { layout: 'channels-first', shape: [9, 2, 3], positions: 3 },
  { layout: 'channels-last', shape: [9, 3, 2], positions: 3 },
]

export type Form = (typeof forms)[number]

export function optionsOf(combination: readonly Choice[], { layout }: Form): BatchNormOptions {
  return Object.assign({ layout }, ...combination.map(({ options }) => options))
}

export function callOf(combination: readonly Choice[], { shape, positions }: Form): Problem['call'] {
  return Object.assign({}, ...combination.map(({ call }) => call?.(shape[0], positions)))
}

/** A module that has been trained for some batches, of another mean and scale than the inputs here. */
export function chosenModule<Type extends ParameterType>(
  combination: readonly Choice[],
  form: Form,
  training: boolean,
  dtype: Type,
): BatchNorm<Type> {
  const bn = filled(new BatchNorm1d(2, { ...optionsOf(combination, form), dtype }))
  if (combination.some(({ frozen }) => frozen)) bn.freeze()
  return bn.train(training)
}

/** Whether the module, or a forward of it, names two of the options that exclude each other. */
export function contradicts(combination: readonly Choice[], form: Form): boolean {
  try {
    const { mask, lengths } = callOf(combination, form)
    const input = normal([...form.shape], 1)
    chosenModule(combination, form, true, 'float32').forward(input, { mask, lengths })
    return false
  } catch (error) {
    if (/Expected options that agree/.test(String(error))) return true
    throw error
  }
}

/** An input that goes with parameters of a type. */
export function inputOf(dtype: ParameterType, shape: readonly number[], seed: number): Tensor<FloatArray> {
  return dtype === 'float64' ? normal64([...shape], seed) : normal([...shape], seed)
}

/** The options of a forward, for an input of a shape and type. */
export function forwardOptions(
  { residual, ...counted }: Problem['call'],
  shape: readonly number[],
  dtype: ParameterType,
): ForwardOptions {
  if (!residual) return counted
  const data = dtype === 'float64' ? Float64Array.from(residual) : Float32Array.from(residual)
  return { ...counted, residual: tensor(data, shape) }
}

/** What a forward of the module depends on, for the reference. */
export function problemOf(bn: AnyBatchNorm, x: Tensor<FloatArray>, call: Problem['call'] = {}): Problem {
  const { runningMean, runningVar, numBatchesTracked } = bn
  return {
    shape: x.shape,
    x: x.data,
    options: bn.options as BatchNormOptions,
    call,
    training: bn.training,
    frozen: bn.frozen,
    scale: (bn.rawWeight ?? bn.weight)?.data ?? null,
    bias: bn.bias?.data ?? null,
    running:
      runningMean && runningVar && numBatchesTracked
        ? runningOf(runningMean.data, runningVar.data, Number(numBatchesTracked.data[0]))
        : null,
  }
}
