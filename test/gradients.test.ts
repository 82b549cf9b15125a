/**
 * Every option and every two of them, against the reference: forward, running statistics, and gradients,
 * which central differences of the reference's forward confirm.
 */
import { describe, expect, test } from 'vitest'
import type { BatchNorm } from '../lib/index.ts'
import type { ParameterType } from '../lib/tensor/data-type.ts'
import { sameShape } from '../lib/tensor/shape.ts'
import { describeEachBackend, share } from './support/backends.ts'
import { centralDifferences, type Derivative } from './support/central-differences.ts'
import {
  type Choice,
  callOf,
  chosenModule,
  combinations,
  type Form,
  forms,
  forwardOptions,
  inputOf,
  problemOf,
} from './support/choices.ts'
import { expectNear } from './support/near.ts'
import {
  type GradientReference,
  gradientReference,
  type Problem,
  type Reference,
  reference,
} from './support/reference.ts'
import { unit, unit64 } from './support/tolerance.ts'

/** Two options that contradict each other, as the error names them. */
const contradictions: readonly [string, string][] = [
  ['affine: false', 'trainAffine: true'],
  ['affine: false', 'positiveScale: true'],
  ['scale: false', 'positiveScale: true'],
  ['trackRunningStats: false', "singleValue: 'running'"],
  ['trackRunningStats: false', 'useBatchStats: false'],
  ['trackRunningStats: false', 'updateStats: true'],
  ['trackRunningStats: false', 'renorm'],
  ['trackRunningStats: false', "storedVariance: 'biased'"],
  ['trackRunningStats: false', 'freeze()'],
  ['useBatchStats: false', 'virtualBatchSize'],
  ['useBatchStats: false', 'renorm'],
  ['mask', 'lengths'],
]

function contradictionIn(combination: readonly Choice[]): [string, string] | undefined {
  const has = (name: string) =>
    combination.some(({ title }) => title === name || title.startsWith(`${name}:`))
  return contradictions.find((names) => names.every(has))
}

/** With lengths the input has positions; the second mask is another one only there. */
function formsFor(combination: readonly Choice[]): Form[] {
  const needsPositions = combination.some(({ key }) => key === 'lengths')
  return forms.filter(({ positions }) => positions > 1 || !needsPositions)
}

const title = (combination: readonly Choice[]) => combination.map(({ title }) => title).join(', ')
const cases = combinations.map((combination) => ({ name: title(combination), combination }))
const allowed = cases.filter(({ combination }) => !contradictionIn(combination))
const x = (shape: readonly number[], dtype: ParameterType) => inputOf(dtype, shape, 31)
const g = (shape: readonly number[], dtype: ParameterType) => inputOf(dtype, shape, 32)
const dtypes = ['float32', 'float64'] as const

/**
 * How much less than float32 a type rounds. The reference is float64 itself and adds one number after
 * another, so it errs by no more than a module of that type: together twice as much.
 */
const digits = { float32: 1, float64: (2 * unit64) / unit }

function eachProblem(
  combination: readonly Choice[],
  dtype: ParameterType,
  check: (problem: Problem, bn: BatchNorm<ParameterType>, call: Problem['call'], where: string) => void,
): void {
  for (const form of formsFor(combination)) {
    for (const training of [true, false]) {
      const bn = chosenModule(combination, form, training, dtype)
      const call = callOf(combination, form)
      const where = `${form.layout}, ${form.shape}, ${training ? 'training' : 'eval'}`
      check(problemOf(bn, x(form.shape, dtype), call), bn, call, where)
    }
  }
}

describe('the gradients of the reference are those of its forward', () => {
  test.each(share(allowed, 4))('$name', ({ combination }) => {
    eachProblem(combination, 'float64', (problem, _bn, _call, where) => {
      // Where values are is no matter of two options.
      if (combination.length === 2 && !sameShape(problem.shape, forms[1].shape)) return
      const at = reference(problem)
      const gradOutput = g(problem.shape, 'float64').data
      const exact = gradientReference(problem, at, gradOutput)
      const loss = (changed: Partial<Problem>) =>
        reference({ ...problem, ...changed }, at.groups).y.reduce((sum, y, i) => sum + gradOutput[i] * y, 0)
      const { length } = problem.x
      const magnitude = at.y.reduce((sum, y, i) => sum + Math.abs(gradOutput[i]) * (1 + Math.abs(y)), 0)
      // Two sums over a channel, one over all, and what is done to each value.
      const derivatives = (vary: (values: Float64Array) => number, values: ArrayLike<number>) =>
        centralDifferences(vary, values, magnitude, 3 * length + 10)
      const compare = (what: string, actual: Float64Array, expected: Derivative[]) =>
        expectNear(
          `${what}, ${where}`,
          actual,
          expected.map(({ value }) => value),
          (i) => expected[i].tolerance,
        )
      compare(
        'input',
        exact.input,
        derivatives((values) => loss({ x: values }), problem.x),
      )
      const { scale, bias, call } = problem
      if (call.residual) {
        compare(
          'residual',
          exact.residual,
          derivatives((residual) => loss({ call: { ...call, residual } }), call.residual),
        )
      }
      if (scale)
        compare(
          'scale',
          exact.scale,
          derivatives((values) => loss({ scale: values }), scale),
        )
      if (bias)
        compare(
          'bias',
          exact.bias,
          derivatives((values) => loss({ bias: values }), bias),
        )
    })
  })
})

const answers = new Map<string, { expected: Reference; exact: GradientReference }>()

/** What the reference says about a case; the same for every backend. */
function answerTo(title: string, problem: Problem, gradOutput: ArrayLike<number>) {
  const expected = answers.get(title)?.expected ?? reference(problem)
  const exact = answers.get(title)?.exact ?? gradientReference(problem, expected, gradOutput)
  answers.set(title, { expected, exact })
  return { expected, exact }
}

describeEachBackend('the module is the reference', (_, place) => {
  const both = allowed.flatMap((one) => dtypes.map((dtype) => ({ ...one, dtype, by: digits[dtype] })))
  test.each(share(both, 5, place))('$dtype: $name', ({ combination, dtype, by }) => {
    eachProblem(combination, dtype, (problem, bn, call, where) => {
      const gradOutput = g(problem.shape, dtype)
      const { expected, exact } = answerTo(
        `${dtype} ${combinations.indexOf(combination)} ${where}`,
        problem,
        gradOutput.data,
      )
      const { data: y } = bn.forward(x(problem.shape, dtype), forwardOptions(call, problem.shape, dtype))
      expectNear(`y, ${where}`, y, expected.y, (i) => by * expected.tolerance[i])
      const { running } = expected
      if (running) {
        const [mean, variance] = [bn.runningMean?.data ?? [], bn.runningVar?.data ?? []]
        expectNear(`running mean, ${where}`, mean, running.mean, (i) => by * running.meanTolerance[i])
        expectNear(
          `running variance, ${where}`,
          variance,
          running.variance,
          (i) => by * running.varianceTolerance[i],
        )
        expect(bn.numBatchesTracked?.data[0], where).toBe(BigInt(running.batches))
      }

      const gradResidual = call.residual ? gradOutput.data.map(() => 42) : undefined
      const gradInput = bn.backward(gradOutput, { gradResidual }).data
      // Rounded at most once, by a negative slope of a power of two not at all.
      if (gradResidual)
        expect([...gradResidual], `residual, ${where}`).toEqual([...exact.residual].map((value) => value + 0))
      expectNear(`input, ${where}`, gradInput, exact.input, (i) => by * exact.inputTolerance[i])
      for (const [name, { grad, requiresGrad }] of bn.namedParameters()) {
        const key = name === 'bias' ? 'bias' : 'scale'
        const wanted = requiresGrad ? exact[key] : exact[key].map(() => 0)
        expectNear(`${name}, ${where}`, grad, wanted, (i) =>
          requiresGrad ? by * exact[`${key}Tolerance`][i] : 0,
        )
      }
    })
  })
})

describe('options that contradict each other', () => {
  const found = cases.filter(({ combination }) => contradictionIn(combination))
  test.each(found)('$name: an error names both', ({ combination }) => {
    const [one, other] = contradictionIn(combination) as [string, string]
    for (const form of formsFor(combination)) {
      const call = () => {
        const options = forwardOptions(callOf(combination, form), form.shape, 'float32')
        chosenModule(combination, form, true, 'float32').forward(x(form.shape, 'float32'), options)
      }
      expect(call).toThrow(`received ${one} with ${other}`)
      expect(call).toThrow(TypeError)
    }
  })

  test('there is no other', () => {
    expect(new Set(found.map(({ combination }) => contradictionIn(combination))).size).toBe(
      contradictions.length,
    )
  })
})
