/** One step of training, or of eval mode, on the public face, beside its exact evaluation. */

import { BatchNorm1d, type Tensor, tensor } from '../../lib/index.ts'
import type { FloatType } from '../../lib/tensor/data-type.ts'
import { parameterType } from '../../lib/tensor/data-type.ts'
import { type HalfType, widened } from '../../lib/tensor/half.ts'
import type { Layout } from '../../lib/tensor/shape.ts'
import { ExactChannel, none, type Worst, worseOf } from './oracle.ts'
import { Random } from './random.ts'
import type { Recipe } from './recipes.ts'

/** How the rows of a recipe become an input: `positions` of them, or all, make one sample. */
export interface Form {
  readonly name: string
  readonly layout: Layout
  readonly positions: number | 'all' | null
}

const first = (positions: number): Form => ({
  name: `(N, C, ${positions})`,
  layout: 'channels-first',
  positions,
})

const forms: readonly Form[] = [
  { name: '(N, C)', layout: 'channels-first', positions: null },
  first(2),
  first(16),
  first(64),
  first(700),
  { name: '(1, C, N)', layout: 'channels-first', positions: 'all' },
  { name: '(N, 16, C), channels last', layout: 'channels-last', positions: 16 },
]

/** Those that do not fill a recipe of few rows up to more than twice as many. */
export function formsOf(recipe: Recipe): readonly Form[] {
  return forms.filter((form) => countOf(recipe, form) <= 2 * rowsOf(recipe))
}

function rowsOf({ rows = 1400 }: Recipe): number {
  return rows
}

/** As many values a channel as `form` has of a recipe. */
export function countOf(recipe: Recipe, { positions }: Form): number {
  const step = typeof positions === 'number' ? positions : 1
  return Math.ceil(rowsOf(recipe) / step) * step
}

export const results = ['y', 'gradInput', 'gradWeight', 'gradBias', 'runningMean', 'runningVar'] as const
export type Result = (typeof results)[number]

/** A result that breaks the promise, in words. */
export function broken(shares: Shares, of: readonly Result[] = results): string[] {
  return of
    .filter((result) => !(shares[result].share <= 1))
    .map((result) => {
      const { share, index, actual, exact } = shares[result]
      return `${result}[${index}] is ${actual}, exactly ${exact}: ${share.toPrecision(2)} times what is promised`
    })
}

/** What a step of training gave. */
export type Step = Readonly<Record<Result, Float32Array | Float64Array | Uint16Array>>

/** The largest error of each result, as a share of what is promised. */
export type Shares = Readonly<Record<Result, Worst>>

/** The same rows of a recipe for all forms that have as many, with their exact evaluation. */
export class Problem {
  readonly #recipe: Required<Omit<Recipe, 'types' | 'running'>>
  /** Of eval mode, as numbers of the parameters' type. */
  readonly #running: { readonly mean: number; readonly variance: number } | null
  readonly #type: FloatType
  readonly #count: number
  /** Of each channel, as numbers of the type. */
  readonly #x: readonly Float64Array[]
  readonly #gradOutput: readonly Float64Array[]
  readonly #parameters: { readonly weight: Float64Array; readonly bias: Float64Array }
  #exact: readonly ExactChannel[] | null = null

  constructor(recipe: Recipe, type: FloatType, count: number) {
    const full = {
      weight: () => 1,
      bias: () => 0,
      eps: 1e-5,
      rows: count,
      channels: 3,
      gradOutput: (random: Random) => random.normal(),
      ...recipe,
    }
    const random = new Random(count)
    const rounded = (values: Float64Array, of: FloatType = type) =>
      new Float64Array(
        tensor(values, [values.length], { dtype: of }).numbers() as Float32Array | Float64Array,
      )
    const columns = (value: typeof full.x) =>
      Array.from({ length: full.channels }, (_, channel) => {
        const column = new Float64Array(count)
        for (let row = 0; row < count; row++) column[row] = value(random, { row, rows: count, channel })
        return rounded(column)
      })
    const parameter = (value: (channel: number) => number) =>
      rounded(
        Float64Array.from({ length: full.channels }, (_, channel) => value(channel)),
        parameterType(type),
      )
    const runningOf = ({ mean, variance }: NonNullable<Recipe['running']>) => {
      const [one, other] = rounded(Float64Array.of(mean, variance), parameterType(type))
      return { mean: one, variance: other }
    }
    this.#recipe = full
    this.#type = type
    this.#count = count
    this.#x = columns(full.x)
    this.#gradOutput = columns(full.gradOutput)
    this.#running = recipe.running ? runningOf(recipe.running) : null
    this.#parameters = { weight: parameter(full.weight), bias: parameter(full.bias) }
  }

  #positions({ positions }: Form): number {
    return positions === 'all' ? this.#count : (positions ?? 1)
  }

  #indexOf(row: number, channel: number, form: Form): number {
    const { channels } = this.#recipe
    const inner = form.layout === 'channels-last' ? 1 : this.#positions(form)
    return (Math.floor(row / inner) * channels + channel) * inner + (row % inner)
  }

  #tensor(columns: readonly Float64Array[], form: Form): Tensor {
    const { channels } = this.#recipe
    const data = new Float64Array(this.#count * channels)
    for (const [channel, column] of columns.entries()) {
      for (let row = 0; row < this.#count; row++) data[this.#indexOf(row, channel, form)] = column[row]
    }
    const positions = this.#positions(form)
    const samples = this.#count / positions
    const shape =
      form.positions === null
        ? [samples, channels]
        : form.layout === 'channels-last'
          ? [samples, positions, channels]
          : [samples, channels, positions]
    return tensor(data, shape, { dtype: this.#type }) as Tensor
  }

  /** What another library has to be told to do the same step; not of channels last. */
  question(form: Form): Record<string, unknown> {
    const encoded = (values: Float64Array) => Buffer.from(values.buffer).toString('base64')
    const numbers = (columns: readonly Float64Array[]) =>
      encoded(Float64Array.from(this.#numbers(this.#tensor(columns, form).data)))
    return {
      shape: this.#tensor(this.#x, form).shape,
      eps: this.#recipe.eps,
      running: this.#running,
      type: this.#type,
      x: numbers(this.#x),
      gradOutput: numbers(this.#gradOutput),
      weight: encoded(this.#parameters.weight),
      bias: encoded(this.#parameters.bias),
    }
  }

  /** One step on the backend in use; in training the running statistics become the batch's. */
  train(form: Form): Step {
    const type = this.#type
    const module = new BatchNorm1d(this.#recipe.channels, {
      eps: this.#recipe.eps,
      layout: form.layout,
      momentum: 1,
      dtype: parameterType(type),
    })
    const { weight, bias, runningMean, runningVar } = module
    if (!weight || !bias || !runningMean || !runningVar) throw new Error('all of them are there by default')
    weight.data.set(this.#parameters.weight)
    bias.data.set(this.#parameters.bias)
    if (this.#running !== null) {
      module.eval()
      runningMean.data.fill(this.#running.mean)
      runningVar.data.fill(this.#running.variance)
    }
    const y = module.forward(this.#tensor(this.#x, form))
    const gradInput = module.backward(this.#tensor(this.#gradOutput, form))
    return {
      y: y.data,
      gradInput: gradInput.data,
      gradWeight: weight.grad,
      gradBias: bias.grad,
      runningMean: runningMean.data,
      runningVar: runningVar.data,
    } as Step
  }

  /** @param step - of this backend, or another library's in float64 */
  judge(step: Step, form: Form): Shares {
    const { eps } = this.#recipe
    const { weight, bias } = this.#parameters
    this.#exact ??= this.#x.map(
      (x, c) =>
        new ExactChannel(x, this.#gradOutput[c], {
          eps,
          weight: weight[c],
          bias: bias[c],
          running: this.#running,
        }),
    )
    const [type, ofParameters] = [this.#type, parameterType(this.#type)]
    const shares = Object.fromEntries(results.map((result) => [result, none])) as Record<Result, Worst>
    const numbers = {
      y: this.#numbers(step.y),
      gradInput: this.#numbers(step.gradInput),
    }
    const column = (of: ArrayLike<number>, channel: number) => {
      const values = new Float64Array(this.#count)
      for (let row = 0; row < this.#count; row++) values[row] = of[this.#indexOf(row, channel, form)]
      return values
    }
    for (const [channel, exact] of this.#exact.entries()) {
      const ofChannel: Record<Result, Worst> = {
        y: exact.output(column(numbers.y, channel), type),
        gradInput: exact.inputGradient(column(numbers.gradInput, channel), type),
        gradWeight: exact.weightGradient(step.gradWeight[channel], ofParameters),
        gradBias: exact.biasGradient(step.gradBias[channel], ofParameters),
        runningMean: none,
        runningVar: none,
        ...(this.#running === null && {
          runningMean: exact.mean(step.runningMean[channel], ofParameters),
          runningVar: exact.unbiasedVariance(step.runningVar[channel], ofParameters),
        }),
      }
      for (const result of results) shares[result] = worseOf(shares[result], ofChannel[result])
    }
    return shares
  }

  #numbers(values: Step['y']): Float32Array | Float64Array {
    return values instanceof Uint16Array ? widened(values, this.#type as HalfType) : values
  }
}
