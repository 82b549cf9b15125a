/** What `npm run bench:native` measures. */
import { nameOf } from '../../cli/measure/shapes.ts'
import type { Shape } from '../../lib/tensor/shape.ts'

export type ValueType = 'float32' | 'float64' | 'bfloat16' | 'float16'

export const allTypes: readonly ValueType[] = ['float32', 'float64', 'bfloat16', 'float16']

/** Those that have goals. */
export const usualOperations = ['statistics', 'gradient sums', 'forward', 'backward', 'eval'] as const

/** Those that are measured when they are asked for. */
export const otherOperations = ['forward relu', 'forward residual relu', 'backward eval'] as const

export type Operation = (typeof usualOperations)[number] | (typeof otherOperations)[number]

/**
 * All kinds of rows, channels and lengths, in the caches and beyond. None is so small that a call
 * costs more than its memory does.
 */
const allShapes: readonly Shape[] = [
  [1000, 128],
  [128, 1000],
  [256, 512],
  [4096, 256],
  [3000, 768],
  [20000, 512],
  [65536, 256],
  [4096, 4096],
  [100000, 10],
  [65536, 16],
  [20000, 3],
  [300000, 1],
  [512, 256, 2],
  [128, 512, 7],
  [256, 128, 16],
  [32, 2048, 49],
  [64, 128, 64],
  [16, 256, 196],
  [16, 48, 500],
  [64, 128, 784],
  [128, 64, 900],
  [32, 64, 1024],
  [16, 64, 3136],
  [8, 1, 100000],
]

/** The kernels of other types differ in how they load and store, so that fewer shapes tell enough. */
const shapesOfOtherTypes: readonly Shape[] = [
  [256, 512],
  [4096, 256],
  [20000, 512],
  [65536, 16],
  [32, 2048, 49],
  [16, 48, 500],
  [64, 128, 784],
  [32, 64, 1024],
]

export interface Case {
  readonly shape: Shape
  readonly type: ValueType
  readonly operations: readonly Operation[]
  readonly threads: readonly number[]
}

export interface Choice {
  /** What a title has to contain. */
  readonly filter: string
  readonly shape?: readonly Shape[]
  readonly types?: readonly ValueType[]
  readonly operations?: readonly Operation[]
  readonly threads: readonly number[]
}

/** `(4096, 256) float32 forward` */
export function titleOf(shape: Shape, type: ValueType, operation: Operation): string {
  return `${nameOf(shape)} ${type} ${operation}`
}

/** Of more threads than one nothing new is learnt from other types: they are left to one, unless asked for. */
export function casesOf({ filter, shape, types, operations = usualOperations, threads }: Choice): Case[] {
  const alone = threads.filter((count) => count === 1)

  return allTypes
    .flatMap((type) => shapesOf(type).map((shape) => ({ shape, type })))
    .map(({ shape, type }) => ({
      shape,
      type,
      operations: operations.filter((operation) => titleOf(shape, type, operation).includes(filter)),
      threads: type === 'float32' || types !== undefined ? threads : alone,
    }))
    .filter((each) => each.operations.length > 0 && each.threads.length > 0)

  function shapesOf(type: ValueType): readonly Shape[] {
    if (types !== undefined) return types.includes(type) ? (shape ?? allShapes) : []
    if (type === 'float32') return shape ?? allShapes
    return shape === undefined ? shapesOfOtherTypes : []
  }
}
