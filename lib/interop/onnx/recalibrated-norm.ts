import { describe, quoted } from '../../checks/errors.ts'
import { Moments } from '../../moments/moments.ts'
import type { FloatData } from '../../tensor/data-type.ts'
import type { Tensor } from '../../tensor/tensor.ts'
import type { Constants } from './constants.ts'
import type { GraphEdit } from './graph-edit.ts'
import type { Node } from './messages.ts'
import type { FoundNode } from './nodes.ts'
import type { Observed } from './observed-model.ts'
import { trainingOf } from './operator-sets.ts'
import { type Constant, roundedTo } from './stored-tensor.ts'
import { vectorsOf } from './vectors.ts'

/** Running statistics of a node, each `[C]`, as the model stores them. */
export interface OnnxStatistics {
  /** The running mean of each channel, `[C]`. */
  readonly mean: Float64Array
  /** The running variance of each channel, `[C]`. */
  readonly variance: Float64Array
}

/** What `recalibrateOnnx` did to a node. */
export interface RecalibratedNode {
  /** As `findOnnxBatchNorms` calls it. */
  readonly name: string
  /** What the model had. */
  readonly before: OnnxStatistics
  /** What it has now, rounded to its type. */
  readonly after: OnnxStatistics
  /** How many values of each channel were counted. */
  readonly count: number
  /** The initializers that hold them now. */
  readonly initializers: { readonly mean: string; readonly variance: string }
}

/** A batch norm of a model on the way to other statistics. */
export class RecalibratedNorm implements Observed {
  readonly node: Node
  readonly version: number
  readonly statisticsType: number
  readonly #name: string
  readonly #mean: Constant
  readonly #variance: Constant
  readonly #moments: Moments
  /** How many batches had one value a channel. */
  #single = 0

  /** @throws TypeError or RangeError for a node that means something else, and for vectors that are no constants */
  constructor(found: FoundNode, constants: Constants) {
    const { name, node, version, rank } = found
    trainingOf(name, node, version, rank ?? Number.NaN)
    const [, , mean, variance] = vectorsOf(found, constants)
    this.node = node
    this.version = version
    this.statisticsType = variance.dataType
    this.#name = name
    this.#mean = mean
    this.#variance = variance
    this.#moments = new Moments(mean.values.length)
  }

  record(input: Tensor<FloatData>): void {
    this.#moments.update(input)
    if (input.data.length === this.#moments.channels) this.#single++
  }

  /** What is to be said of batches that tell nothing. */
  notes(): string[] {
    if (this.#single === 0) return []
    const [batches, have] = this.#single === 1 ? ['1 batch', 'has'] : [`${this.#single} batches`, 'have']
    return [
      `${batches} ${have} one value a channel at ${quoted(this.#name)}, which becomes B there, so that what follows ` +
        "learns nothing from it: give larger batches, or normalizeWith: 'running'.",
    ]
  }

  /**
   * The mean and the unbiased variance, of the types that the model has.
   *
   * @throws RangeError for no values, one a channel, NaN or Infinity, and what does not fit the type
   */
  result(): [mean: Constant, variance: Constant] {
    const { count } = this.#moments
    if (count < 2) {
      throw new RangeError(
        `Expected batches with at least 2 values a channel for ${quoted(this.#name)} but received ${count} (are batches used ` +
          'up, or empty?)',
      )
    }
    const statistics = [this.#moments.mean, this.#moments.variance({ unbiased: true })]
    return [this.#mean, this.#variance].map(({ dims, dataType }, index) => {
      const values = roundedTo(dataType, statistics[index])
      const wrong = [...values.keys()].filter((at) => !Number.isFinite(values[at]))
      if (wrong.length === 0) return { dims, dataType, values }
      throw new RangeError(
        `Expected finite ${['means', 'variances'][index]} that fit the type of ${quoted(this.#name)} but received others in ` +
          `channels ${describe(wrong)} (is there NaN or Infinity in a batch?)`,
      )
    }) as [Constant, Constant]
  }

  /** Writes the result into the model. */
  write(edit: GraphEdit): RecalibratedNode {
    const [mean, variance] = this.result()
    const initializers = {
      mean: edit.write(this.node, 3, mean, `${this.#name}.running_mean`),
      variance: edit.write(this.node, 4, variance, `${this.#name}.running_var`),
    }
    return {
      name: this.#name,
      before: { mean: this.#mean.values.slice(), variance: this.#variance.values.slice() },
      after: { mean: mean.values, variance: variance.values },
      count: this.#moments.count,
      initializers,
    }
  }
}
