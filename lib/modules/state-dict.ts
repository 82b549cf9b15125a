/** Loading of a state dict: everything is checked, and all that is wrong is named, before anything is written. */
import { types } from 'node:util'
import { describe, invalidType } from '../checks/errors.ts'
import { assertReadable } from '../checks/in-flight.ts'
import { printable } from '../checks/printable.ts'
import { type ParameterType, parameterArray, roundedTo } from '../tensor/data-type.ts'
import { isHalf, widened } from '../tensor/half.ts'
import { readInteger, readNumber, type TensorJSON } from '../tensor/json.ts'
import { rowMajor } from '../tensor/row-major.ts'
import { elementCount, type Shape, sameShape } from '../tensor/shape.ts'
import type { Tensor, TensorData } from '../tensor/tensor.ts'

type Numbers = ArrayLike<number | bigint>

interface NumbersWithShape {
  readonly data: Numbers
  readonly shape: Shape
  readonly dtype?: string
}

/** A value of a state dict: a tensor, also as JSON, a bare array, or a number where the shape is `[]`. */
export type StateValue = number | bigint | Numbers | NumbersWithShape | TensorJSON

/**
 * A state dict: what is learned, by PyTorch's keys `weight`, `bias`, `running_mean`, `running_var`,
 * `num_batches_tracked`; with `positiveScale` also `raw_weight`, with `renorm` also `renorm_steps`.
 */
export type State = Readonly<Record<string, StateValue>>

/** How the keys of a state dict differed from those of the module. */
export interface LoadedKeys {
  /** Keys of the module that the state dict lacks. */
  readonly missingKeys: string[]
  /** Keys of the state dict that the module has not. */
  readonly unexpectedKeys: string[]
}

/**
 * @param name - what errors call it
 * @throws TypeError for what is not a state dict; a `Map` of tensors is none yet
 */
export function assertState(state: State, name = 'state'): void {
  const isObject = typeof state === 'object' && state !== null
  const isMap = types.isMap(state)
  const isOfFile = isObject && hasUnread(state)
  if (isObject && !isArray(state) && !isMap && !isOfFile) return
  let fix = isMap ? 'Object.fromEntries(map) makes one' : ''
  if (isOfFile) fix = 'batchNormState(file, prefix) reads that of one batch norm'
  throw invalidType(name, 'an object of tensors', state, fix)
}

/** Whether it is an open file, or has tensors of one, whose values are still there. */
function hasUnread(state: object): boolean {
  const tensors = 'tensors' in state && types.isMap(state.tensors) ? state.tensors : state
  const values = types.isMap(tensors) ? [...tensors.values()] : Object.values(tensors)
  return values.some((value) => typeof value?.read === 'function')
}

/**
 * A state dict that has running statistics but does not say of how many batches, as PyTorch wrote them
 * before 0.4.1: with the counter that is there, which PyTorch keeps from 2.0 on.
 */
export function withCounter(state: State, counter: Tensor<BigInt64Array>): State {
  const isOld = state.running_mean !== undefined && state.num_batches_tracked === undefined
  return isOld ? { ...state, num_batches_tracked: counter } : state
}

/**
 * A state dict for a module with `renorm`, whose schedule has `steps`, or without: one that does not say where the
 * schedule is begins at its counter, and where there is no schedule it says nothing.
 */
export function withSteps(state: State, steps: Tensor<BigInt64Array> | null): State {
  const { renorm_steps, ...others } = state
  if (steps === null) return renorm_steps === undefined ? state : others
  const { num_batches_tracked } = state
  const lacks = renorm_steps === undefined && num_batches_tracked !== undefined
  return lacks ? { ...state, renorm_steps: num_batches_tracked } : state
}

/**
 * Copies `state` into `targets`, all or nothing.
 *
 * @param strict - whether missing and unexpected keys are errors; wrong shapes and types always are
 * @returns the keys that `state` lacks and those that it has too many
 * @throws RangeError that names every problem
 */
export function loadState(
  module: string,
  state: State,
  targets: ReadonlyMap<string, Tensor<TensorData>>,
  strict: boolean,
): LoadedKeys {
  const missingKeys = [...targets.keys()].filter((key) => state[key] === undefined)
  const unexpectedKeys = Object.keys(state).filter((key) => !targets.has(key))
  const loaded = new Map<string, TensorData>()
  const problems: string[] = []
  if (strict && missingKeys.length > 0) problems.push(`missing keys: ${missingKeys.join(', ')}`)
  if (strict && unexpectedKeys.length > 0) problems.push(`unexpected keys: ${unexpectedKeys.join(', ')}`)
  for (const [key, target] of targets) {
    if (missingKeys.includes(key)) continue
    const value = read(key, state[key], target)
    if (typeof value === 'string') problems.push(`${key}: ${value}`)
    else loaded.set(key, value)
  }
  if (problems.length > 0) {
    throw new RangeError(`Expected state to fit ${module} but received ${printable(problems.join('; '))}`)
  }
  for (const [key, value] of loaded) (targets.get(key) as Tensor).data.set(value as Float32Array)
  return { missingKeys, unexpectedKeys }
}

/** The value as the target's type, or what is wrong with it. */
function read(key: string, value: StateValue, target: Tensor<TensorData>): TensorData | string {
  const { numbers, shape, length } = partsOf(value)
  if (numbers === null)
    return `expected numbers of shape ${describe(target.shape)}, received ${describe(value)}`
  const isOneValue = target.shape.length === 0 && sameShape(shape, [1])
  const wanted = `expected shape ${describe(target.shape)}, received shape ${describe(shape)} with `
  if (!(sameShape(shape, target.shape) || isOneValue)) return `${wanted}${length} values`
  const data = numbers()
  if (data.length !== target.data.length) return `${wanted}${data.length} values`
  if (ArrayBuffer.isView(data)) assertReadable(`state.${key}`, data)
  const items = Array.from(data)
  if (types.isBigInt64Array(target.data)) {
    const wrong = items.findIndex((item) => !isCount(item))
    if (wrong >= 0)
      return `expected a non-negative integer that fits int64, received ${describe(items[wrong])}`
    return BigInt64Array.from(items, BigInt)
  }
  const type = target.dtype as ParameterType
  const wrong = items.findIndex((item) => typeof item !== 'number' || !fits(item, type))
  if (wrong >= 0) return `expected numbers that fit ${type}, received ${describe(items[wrong])} at [${wrong}]`
  const read = parameterArray(type, items.length)
  read.set(items as number[])
  return read
}

/** Whether it can be a counter: an integer, at least 0, that fits int64. */
export function isCount(item: number | bigint): boolean {
  return typeof item === 'bigint'
    ? BigInt.asUintN(63, item) === item
    : Number.isSafeInteger(item) && item >= 0
}

function fits(value: number, type: ParameterType): boolean {
  return Number.isFinite(roundedTo(type, value)) || !Number.isFinite(value)
}

/** What a value of a state dict is, before any of it is walked: an array may say that it is longer than memory. */
interface Parts {
  /** Its numbers; of an array that is not as long as its shape says, the array. `null`: there are none. */
  readonly numbers: (() => Numbers) | null
  readonly shape: Shape
  /** Of the array. */
  readonly length: number
}

/**
 * Numbers and shape of a value; a bare array has the shape `[length]`, a number `[]`. Halves are widened,
 * and texts that stand for numbers in JSON are those.
 */
export function partsOf(value: StateValue): Parts {
  if (typeof value === 'bigint' || typeof value === 'number')
    return { numbers: () => [value], shape: [], length: 1 }
  if (isArray(value)) return partsOfTensor({ data: value, shape: [value.length] })
  const isTensor = typeof value === 'object' && value !== null && 'data' in value && isArray(value.data)
  if (!isTensor || !Array.isArray(value.shape)) return { numbers: null, shape: [], length: 0 }
  return partsOfTensor(value as NumbersWithShape)
}

function partsOfTensor(tensor: NumbersWithShape): Parts {
  const { data, dtype, shape } = tensor
  // Bits that do not say of what are no numbers.
  if (types.isUint16Array(data) && !isHalf(dtype)) return { numbers: null, shape: [], length: 0 }
  const numbers = () => {
    const dense = rowMajor('value', tensor)
    if (types.isUint16Array(dense) && isHalf(dtype)) return widened(dense, dtype)
    return Array.isArray(dense) && dense.length === elementCount('value', shape)
      ? numbersIn(dense, dtype)
      : dense
  }
  return { numbers, shape, length: data.length }
}

/** The numbers of an array; the array itself where one is missing, which may be long and empty. */
function numbersIn(items: Numbers & readonly unknown[], dtype?: string): Numbers {
  if (items.includes(undefined)) return items
  return items.map(dtype === 'int64' ? readInteger : readNumber) as Numbers
}

function isArray(value: unknown): value is Numbers {
  return Array.isArray(value) || types.isTypedArray(value)
}
