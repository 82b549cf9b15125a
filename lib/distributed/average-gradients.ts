import { invalidType, invalidValue } from '../checks/errors.ts'
import { assertWritable } from '../checks/in-flight.ts'
import { optionNames, optionsObject } from '../checks/options.ts'
import { nonNegative } from '../checks/scalars.ts'
import { allReduceSum, runAsync, runSync, type Steps } from '../modules/methods/steps.ts'
import { assertCollective, type Collective } from './collective.ts'

/** What has a gradient: a parameter of this library, or of any other. */
export interface WithGradient {
  /** The gradient, which is written too. */
  readonly grad: Float32Array | Float64Array
}

/** Options of `averageGradients`. */
export interface AverageGradientsOptions {
  /** What the gradients of this rank count, as its number of rows. Default 1. */
  weight?: number
}

const names = optionNames<AverageGradientsOptions>({ weight: true })

/**
 * Replaces the gradients of every rank by their mean over the ranks, with the same bits on each:
 *
 *     grad = sum(weight * grad) / sum(weight)
 *
 * in float64, rounded once. All gradients travel in one collective. With the rows of each rank as weights it is the
 * gradient of the mean over all rows where each rank's loss is the mean over its own; with `SyncBatchNorm` in the network
 * scale the losses instead, as it says, and leave the weights equal.
 *
 * @param parameters - as many, of the same lengths in the same order, on every rank: frozen ones too
 * @throws TypeError or RangeError for an argument that does not fit; RangeError on every rank where all weights are 0;
 * CollectiveError. No gradient has changed then.
 */
export function averageGradients(
  parameters: readonly WithGradient[],
  collective: Collective,
  options: AverageGradientsOptions = {},
): void {
  runSync(average(gradientsOf(parameters), collective, weightOf(collective, options)))
}

/** `averageGradients` with the collective off this thread; leave the gradients alone until it has ended. */
export async function averageGradientsAsync(
  parameters: readonly WithGradient[],
  collective: Collective,
  options: AverageGradientsOptions = {},
): Promise<void> {
  const gradients = gradientsOf(parameters)
  await runAsync(average(gradients, collective, weightOf(collective, options)), [], gradients)
}

function* average(gradients: readonly Gradient[], collective: Collective, weight: number): Steps {
  const values = new Float64Array(1 + gradients.reduce((sum, { length }) => sum + length, 0))
  values[0] = weight
  let end = 1
  for (const gradient of gradients) {
    // A rank that counts for nothing may have had nothing to compute, or NaN.
    for (const value of gradient) values[end++] = weight === 0 ? 0 : weight * value
  }
  yield* allReduceSum(collective, values, 'averageGradients')
  const [total] = values
  if (total === 0) {
    throw new RangeError(
      'Expected a weight above 0 on some rank but received 0 on all (does no rank have rows? Skip the step)',
    )
  }
  // Of one rank they stay as they are, to the bit.
  if (total === weight) return
  end = 1
  for (const gradient of gradients) {
    for (let index = 0; index < gradient.length; index++) gradient[index] = values[end++] / total
  }
}

type Gradient = WithGradient['grad']

function gradientsOf(parameters: readonly WithGradient[]): Gradient[] {
  if (!Array.isArray(parameters)) throw invalidType('parameters', 'an array of parameters', parameters)
  return parameters.map((parameter, index) => {
    const grad = parameter?.grad
    const name = `parameters[${index}].grad`
    if (!(grad instanceof Float32Array || grad instanceof Float64Array)) {
      throw invalidType(name, 'a Float32Array or Float64Array', grad)
    }
    assertWritable(name, grad)
    return grad
  })
}

function weightOf(collective: Collective, options: AverageGradientsOptions): number {
  const { weight = 1 } = optionsObject(options, names)
  assertCollective('collective', collective)
  if (Number.isFinite(nonNegative('weight', weight))) return weight
  throw invalidValue('weight', 'a finite number', weight)
}
