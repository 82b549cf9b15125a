/**
 * A scale that stays positive: gamma = softplus(raw) = log(1 + exp(raw)), where raw is what is trained
 * (Dugas et al. 2001, "Incorporating Second-Order Functional Knowledge for Better Option Pricing"). The
 * computation is in float64; gamma is rounded to the module's type once and never below the smallest
 * normal number of that, 2^-126 or 2^-1022, where softplus would round to 0.
 */

import { invalidValue } from '../checks/errors.ts'
import { mostChannels } from '../checks/scalars.ts'
import { type ParameterArray, type ParameterType, parameterArray, roundedTo } from '../tensor/data-type.ts'
import { Parameter } from './parameter.ts'
import { partsOf, type State, type StateValue } from './state-dict.ts'

const smallest: Readonly<Record<ParameterType, number>> = { float32: 2 ** -126, float64: 2 ** -1022 }

/** The raw value that makes the scale 1: log(e - 1). */
const rawOfOne = inverseSoftplus(1)

export class PositiveScale {
  /** What is trained. */
  readonly raw: Parameter<ParameterType>
  /** gamma; its gradient stays 0, since `raw` has it. */
  readonly weight: Parameter<ParameterType>
  readonly #type: ParameterType

  constructor(channels: number, type: ParameterType) {
    this.#type = type
    this.raw = new Parameter(channels, rawOfOne, type)
    this.weight = new Parameter(channels, 1, type)
    this.weight.requiresGrad = false
  }

  /** Computes gamma anew. */
  refresh(): void {
    const { data: raw } = this.raw
    const { data: weight } = this.weight
    for (let channel = 0; channel < raw.length; channel++) weight[channel] = scaleOf(raw[channel], this.#type)
  }

  /** Adds to the gradient of raw what that of gamma makes of it: softplus' = 1 / (1 + exp(-raw)). */
  addToGrad(gradWeight: ArrayLike<number>): void {
    const { data, grad } = this.raw
    for (let channel = 0; channel < data.length; channel++) {
      grad[channel] += gradWeight[channel] / (1 + Math.exp(-data[channel]))
    }
  }

  /** gamma 1. */
  reset(): void {
    this.raw.data.fill(rawOfOne)
    this.refresh()
  }
}

/** gamma of a raw value, as it is kept. */
export function scaleOf(raw: number, type: ParameterType): number {
  const softplus = Math.max(raw, 0) + Math.log1p(Math.exp(-Math.abs(raw)))
  return Math.max(roundedTo(type, softplus), smallest[type])
}

/**
 * The raw values of scales: raw = log(exp(gamma) - 1), rounded to the type. What they give back differs
 * from gamma by up to |raw| * 2^-24 of it (2^-53 in float64).
 *
 * @throws RangeError that names the channels where a scale is not above 0
 */
function rawOf<Type extends ParameterType>(weight: ArrayLike<number>, type: Type): ParameterArray<Type> {
  const channels = Array.from({ length: weight.length }, (_, channel) => channel)
  const wrong = channels.filter((channel) => !(weight[channel] > 0))
  if (wrong.length > 0) {
    const fix = 'positiveScale cannot hold such a scale'
    throw invalidValue(`state.weight in ${channelsOf(wrong)}`, 'above 0', weight[wrong[0]], fix)
  }
  const raw = parameterArray(type, weight.length)
  for (const channel of channels) raw[channel] = inverseSoftplus(weight[channel])
  return raw
}

/** log(exp(gamma) - 1), without overflow: gamma + log(1 - exp(-gamma)). */
function inverseSoftplus(gamma: number): number {
  return gamma + Math.log(-Math.expm1(-gamma))
}

/**
 * A state dict with both `weight` and `raw_weight`, of which one was missing. Where both are there they
 * have to agree, to within what bfloat16 rounds off either.
 *
 * @throws RangeError that names the channels where a scale is not above 0, or where the two disagree
 */
export function completedState(state: State, type: ParameterType): State {
  const weight = numbersOf(state.weight)
  const raw = numbersOf(state.raw_weight)
  if (weight !== null && state.raw_weight === undefined) return { ...state, raw_weight: rawOf(weight, type) }
  if (raw !== null && state.weight === undefined)
    return { ...state, weight: raw.map((value) => scaleOf(value, type)) }
  if (weight !== null && raw !== null) assertAgreeing(weight, raw, type)
  return state
}

/** The numbers of a value; `null` if there are others in it, or nothing, which loading will tell. */
function numbersOf(value: StateValue | undefined): number[] | null {
  if (value === undefined || value === null) return null
  const { numbers: given, shape } = partsOf(value)
  const isShort = shape.length === 1 && Number.isInteger(shape[0]) && shape[0] <= mostChannels
  const data = given && isShort ? given() : null
  const numbers = data && data.length > 0 && data.length <= mostChannels ? Array.from(data) : null
  return numbers?.every((each) => typeof each === 'number') ? numbers : null
}

function assertAgreeing(weight: readonly number[], raw: readonly number[], type: ParameterType): void {
  const apart = [...raw.keys()].filter((channel) => {
    const scale = scaleOf(raw[channel], type)
    return Math.abs(weight[channel] - scale) > (1 + Math.abs(raw[channel])) * 2 ** -8 * scale
  })
  if (apart.length === 0) return
  const [first] = apart
  throw invalidValue(
    `state.weight in ${channelsOf(apart)}`,
    `${scaleOf(raw[first], type)}, what state.raw_weight makes of it,`,
    weight[first],
    'leave one of them out',
  )
}

function channelsOf(channels: readonly number[]): string {
  return `channel${channels.length === 1 ? '' : 's'} ${channels.join(', ')}`
}
