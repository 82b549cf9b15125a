import { bytesOf, nameOf } from '../../cli/measure/shapes.ts'
import { type Figure, type Goal, meanGoal, worstGoal } from '../goals.ts'
import { allTypes, usualOperations, type ValueType } from './cases.ts'
import type { Measurement } from './program.ts'

/** In floors, one thread: the geometric mean of all shapes, and the worst of them. */
const inFloors = {
  statistics: { mean: 1.5, worst: 2.2 },
  'gradient sums': { mean: 1.4, worst: 2 },
  forward: { mean: 1.35, worst: 1.8 },
  backward: { mean: 1.35, worst: 1.8 },
  eval: { mean: 1.1, worst: 1.4 },
}

/** How many times as fast two threads are as one, for tensors above 1 MiB in the last-level cache. */
const gainOfTwo = 1.7
const shared = 2 ** 20

/** Of other types, in floors of their own bytes, against float32 on the same shape. */
const againstFloat32 = 1.15

/** `cache`: bytes of the last level. */
export function goalsOf(measurements: readonly Measurement[], cache: number): Goal[] {
  return [
    ...usualOperations.flatMap((operation) => {
      const name = `${operation}, one thread, in floors`
      const figures = floorsOf(measurements, operation, 'float32')
      const { mean, worst } = inFloors[operation]
      return [meanGoal(name, 'at most', mean, figures), worstGoal(name, 'at most', worst, figures)]
    }),
    ...usualOperations.map((operation) => {
      const large = measurements.filter(
        ({ shape, type }) => type === 'float32' && bytesOf(shape) > shared && bytesOf(shape) <= cache,
      )
      const figures = figuresOf(
        large.filter((each) => each.operation === operation && each.threads === 2),
        ({ gain }) => gain,
      )
      return worstGoal(
        `${operation}, two threads against one, above 1 MiB in cache`,
        'at least',
        gainOfTwo,
        figures,
      )
    }),
    ...allTypes
      .filter((type) => type !== 'float32')
      .flatMap((type) => {
        const figures = usualOperations.flatMap((operation) => typeFigures(measurements, operation, type))
        const name = `${type}, in floors of its bytes, against float32`
        return [
          meanGoal(name, 'at most', againstFloat32, figures),
          worstGoal(name, 'at most', againstFloat32, figures),
        ]
      }),
  ]
}

/** In floors, one thread. */
export function floorsOf(
  measurements: readonly Measurement[],
  operation: Measurement['operation'],
  type: ValueType,
): Figure[] {
  const those = measurements.filter((each) => each.operation === operation && each.type === type)
  return figuresOf(those, ({ inFloors }) => inFloors)
}

/** In floors, in parts of what float32 takes on the same shape. */
function typeFigures(
  measurements: readonly Measurement[],
  operation: Measurement['operation'],
  type: ValueType,
): Figure[] {
  const float32 = floorsOf(measurements, operation, 'float32')
  return floorsOf(measurements, operation, type).flatMap(({ name, value }) => {
    const plain = float32.find((figure) => figure.name === name)
    return plain === undefined ? [] : [{ name: `${name} ${operation}`, value: value / plain.value }]
  })
}

function figuresOf(
  measurements: readonly Measurement[],
  value: (measurement: Measurement) => number | undefined,
): Figure[] {
  return measurements.flatMap((each) => {
    const measured = value(each)
    return measured === undefined ? [] : [{ name: nameOf(each.shape), value: measured }]
  })
}
