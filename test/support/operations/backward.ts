import type { GradientSums, Gradients, Values } from '../../../lib/backend/backend.ts'
import { guarded, unwritten } from '../guarded.ts'
import type { Inputs, Operation, Results } from './inputs.ts'

type Read = 'gradOutput' | 'x' | 'activated'

interface BackwardVariant {
  readonly training: boolean
  /** The gradients to write: any of i(nput), w(eight), b(ias), r(esidual). */
  readonly wanted: string
  readonly withWeight?: boolean
  readonly activated?: boolean
  /** What the gradient of the input, and that of the residual, is written over. */
  readonly inputOver?: Read
  readonly residualOver?: Read
}

function backward(variant: BackwardVariant): Operation {
  const { training, wanted, withWeight = true, inputOver, residualOver } = variant
  return (backend, inputs) => {
    const { extent, statistics, activation, offset } = inputs
    const read = arraysToRead(inputs, [inputOver, residualOver])
    const apart = (name: string, over: Read | undefined, by: number): Values | null =>
      wanted.includes(name) ? (over ? read[over] : unwritten(inputs.x, offset + by)) : null
    const gradients: Gradients = {
      input: apart('i', inputOver, 1),
      weight: wanted.includes('w') ? unwritten(inputs.weight, offset) : null,
      bias: wanted.includes('b') ? unwritten(inputs.bias, offset) : null,
      residual: apart('r', residualOver, inputs.seed % 2 === 0 ? 1 : 4),
    }
    backend.backward(
      read.gradOutput,
      read.x,
      extent,
      statistics,
      withWeight ? inputs.weight : null,
      training,
      gradients,
      variant.activated ? { activation, output: read.activated } : undefined,
    )
    return written(gradients)
  }
}

/** What backward reads; copies of what it is to write over. */
function arraysToRead(inputs: Inputs, over: readonly (Read | undefined)[]): Record<Read, Values> {
  const array = (name: Read) => (over.includes(name) ? guarded(inputs[name], inputs.offset) : inputs[name])
  return { gradOutput: array('gradOutput'), x: array('x'), activated: array('activated') }
}

function written(arrays: Readonly<Record<string, Values | null>> | Gradients): Results {
  return Object.fromEntries(Object.entries(arrays).filter(([, array]) => array !== null))
}

function gradientSums(withActivation: boolean): Operation {
  return (backend, { gradOutput, x, extent, statistics, activation, activated }) => {
    const sums: GradientSums = { gradient: unwritten(statistics.mean), product: unwritten(statistics.mean) }
    const through = withActivation ? { activation, output: activated } : undefined
    backend.gradientSums(gradOutput, x, extent, statistics, sums, through)
    return { ...sums }
  }
}

/** With sums from elsewhere, over more values than there are here. */
function inputGradient(wanted: string, withActivation: boolean, withWeight = true): Operation {
  return (backend, inputs) => {
    const { gradOutput, x, extent, statistics, activation, activated, offset } = inputs
    const sums: GradientSums = {
      gradient: statistics.mean.map((_, channel) => Math.sin(channel) * extent.outer),
      product: statistics.mean.map((_, channel) => Math.cos(channel) * extent.outer),
    }
    const gradients = {
      input: wanted.includes('i') ? unwritten(x, offset + 1) : null,
      residual: wanted.includes('r') ? unwritten(x, offset + 2) : null,
    }
    const weight = withWeight ? inputs.weight : null
    const count = 3 * extent.outer * extent.inner + 1
    const through = withActivation ? { activation, output: activated } : undefined
    backend.inputGradient(gradOutput, x, extent, statistics, weight, sums, count, gradients, through)
    return written(gradients)
  }
}

const operations: Record<string, Operation> = {
  gradientSums: gradientSums(false),
  'gradientSums, activated': gradientSums(true),
  inputGradient: inputGradient('i', false),
  'inputGradient, no weight': inputGradient('i', false, false),
  'inputGradient, nothing': inputGradient('', false),
  'inputGradient, activated': inputGradient('i', true),
  'inputGradient, activated, ir': inputGradient('ir', true),
  'inputGradient, activated, r': inputGradient('r', true),
}
for (const training of [true, false]) {
  const mode = training ? 'training' : 'eval'
  for (const wanted of ['iwb', 'iw', 'ib', 'wb', 'i', 'w', 'b', '']) {
    operations[`backward in ${mode}, ${wanted || 'nothing'}`] = backward({ training, wanted })
  }
  for (const inputOver of ['gradOutput', 'x'] as const) {
    operations[`backward in ${mode}, over ${inputOver}`] = backward({ training, wanted: 'iwb', inputOver })
  }
  operations[`backward in ${mode}, no weight`] = backward({ training, wanted: 'iwb', withWeight: false })
  // The gradient of the residual is gradOutput itself then, and is not written.
  operations[`backward in ${mode}, residual without activation`] = backward({ training, wanted: 'iwbr' })
  for (const wanted of ['iwbr', 'iwb', 'wbr', 'r']) {
    operations[`backward in ${mode}, activated, ${wanted}`] = backward({ training, wanted, activated: true })
  }
  for (const [inputOver, residualOver] of [
    ['gradOutput', 'x'],
    ['x', 'activated'],
    ['activated', 'gradOutput'],
  ] as const) {
    operations[`backward in ${mode}, activated, over ${inputOver} and ${residualOver}`] = backward({
      training,
      wanted: 'iwbr',
      activated: true,
      inputOver,
      residualOver,
    })
  }
}

export const backwardOperations: Readonly<Record<string, Operation>> = operations
