/** What the backward and the double backward are told of the forward that they follow. */
import type { PerChannel, Statistics, Values } from '../backend/backend.ts'
import { invalidValue } from '../checks/errors.ts'
import { boolean } from '../checks/scalars.ts'
import {
  type FloatTensorLike,
  type FloatVector,
  float64Vector,
  perChannelVector,
  type StatisticsVector,
} from '../checks/tensors.ts'
import { type Layout, valuesPerChannel } from '../tensor/shape.ts'
import { type Input, inputOf, matchingValues } from './arguments.ts'

/** What a backward has to be told of its forward. */
export interface ForwardFacts {
  /** How many values each channel has, as `batchNormStats` gives it: in training those of the input. */
  count?: number
  /** The mean that the forward normalized with: the batch's, or in eval the running one. */
  mean: StatisticsVector
  /** The low part of the mean, as `batchNormStats` gives it; none stands for zeros. */
  meanLow?: StatisticsVector
  /** `1 / sqrt(variance + eps)` of the forward. */
  invstd: StatisticsVector
  /** gamma; none stands for ones. */
  weight?: FloatVector | null
  /** Whether the statistics are those of the input, so that the gradient flows through them. Default true. */
  training?: boolean
  /** Where the channel stands in a shape. Default `'channels-first'`. */
  layout?: Layout
}

/** The names of the facts, for those of options that hold them. */
export const factNames = {
  count: true,
  mean: true,
  meanLow: true,
  invstd: true,
  weight: true,
  training: true,
  layout: true,
} as const satisfies Record<keyof ForwardFacts, true>

/** The same as a backend takes it. */
interface BackwardArguments {
  readonly given: Input
  readonly gradY: Values
  readonly statistics: Statistics
  readonly weight: PerChannel | null
  readonly training: boolean
}

/** @throws TypeError or RangeError for an argument that does not fit */
export function backwardArguments(
  gradOutput: FloatTensorLike,
  input: FloatTensorLike,
  { count, mean, meanLow, invstd, weight, training = true, layout }: ForwardFacts,
): BackwardArguments {
  const given = inputOf('input', input, layout)
  const { channels } = given.extent
  const values = valuesPerChannel(given.extent)
  if (boolean('training', training) && count !== undefined && count !== values) {
    throw invalidValue('count', `${values}, as many values as each channel of the input has,`, count)
  }
  return {
    given,
    gradY: matchingValues('gradOutput', gradOutput, given),
    statistics: {
      mean: float64Vector('mean', mean, channels),
      invstd: float64Vector('invstd', invstd, channels),
      ...(meanLow && { meanLow: float64Vector('meanLow', meanLow, channels) }),
    },
    weight: perChannelVector('weight', weight, channels, given.type),
    training,
  }
}
