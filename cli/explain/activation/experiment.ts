/** Question 2: can batch norm replace the activation? */
import {
  type BatchNorm,
  collapse,
  type Layer,
  type Linearity,
  type Saturation,
  Tensor,
  toAffine,
} from '../../../lib/index.ts'
import { type Examples, rowsOf } from '../../training/examples.ts'
import { type Difference, pairedDifference } from '../../training/statistics.ts'
import { multiply, type Network, run } from '../network.ts'
import { type Rewriting, rewritingOf } from '../rewriting.ts'
import type { Outcome, SpiralNetwork, Study } from '../study.ts'
import type { Trained } from '../training.ts'
import { examine } from './snippet.ts'

/** How the networks did on one task, seed by seed. */
export interface Standing {
  readonly accuracies: Record<SpiralNetwork, readonly number[]>
  readonly losses: Record<SpiralNetwork, readonly number[]>
  /** In accuracy: the stack without activations minus logistic regression. */
  readonly stackOverLogistic: Difference
  /** In accuracy: the stack with ReLU minus the one without. */
  readonly reluOverStack: Difference
  /** The stack of the first seed as one Linear. */
  readonly collapsed: Rewriting
}

/** What a network says about each point of the plane. */
export interface Region {
  readonly accuracy: number
  /** By how much it prefers the second class, at GRID x GRID points, row by row from the lowest. */
  readonly margins: Float32Array
}

/** The plane reaches from -EDGE to EDGE, each way. */
export const EDGE = 1.15
export const GRID = 121

export interface ActivationAnswer {
  readonly digits: Standing
  readonly spirals: Standing
  /** Of the first seed's networks, and that seed's test points. */
  readonly regions: readonly Region[]
  readonly spiralPoints: Examples
  /** Of a batch norm in the tanh network, on the digits. */
  readonly training: Linearity
  readonly evaluation: Linearity
  readonly tanh: Saturation
  /** The largest |y - (scale * x + shift)| of that batch norm in eval mode, and the largest |y|. */
  readonly affineError: number
  readonly largestOutput: number
  /** What `collapse` says about a ReLU. */
  readonly refusal: string
}

export function answerActivation({ digits, spirals }: Study): ActivationAnswer {
  const { linears, batchNorms } = digits.trained.tanh[0].network
  const [x, z] = halvesOf(multiply(linears[0], rowsOf(digits.split.test)))
  const { layer, ...behaviour } = examine(layersOf(digits.trained.stack[0].network), batchNorms[0], x, z)
  return {
    digits: standingOf(digits, layer),
    spirals: standingOf(spirals, collapse(layersOf(spirals.trained.stack[0].network)).layer),
    regions: networks.map((network) => regionOf(spirals.trained[network][0])),
    spiralPoints: spirals.split.test,
    ...behaviour,
    ...affineErrorOf(batchNorms[0], x),
    refusal: refusalOf(spirals.trained.relu[0].network),
  }
}

function halvesOf({ data, shape: [count, channels] }: Tensor): [Tensor, Tensor] {
  const middle = (count / 2) * channels
  const halfOf = (values: Float32Array) => new Tensor(values, [count / 2, channels])
  return [halfOf(data.subarray(0, middle)), halfOf(data.subarray(middle))]
}

const networks: readonly SpiralNetwork[] = ['logistic', 'stack', 'relu']

function standingOf({ split, trained }: Outcome<SpiralNetwork>, collapsed: Layer): Standing {
  const each = (value: (run: Trained) => number) => ({
    logistic: trained.logistic.map(value),
    stack: trained.stack.map(value),
    relu: trained.relu.map(value),
  })
  const accuracies = each(({ accuracy }) => accuracy)
  const oneLinear: Network = { linears: [collapsed], batchNorms: [], activation: 'none' }
  return {
    accuracies,
    losses: each(({ loss }) => loss),
    stackOverLogistic: pairedDifference(accuracies.logistic, accuracies.stack),
    reluOverStack: pairedDifference(accuracies.stack, accuracies.relu),
    collapsed: rewritingOf(trained.stack[0].network, oneLinear, split.test),
  }
}

/** The layers in order, as `collapse` takes them. An activation is put in as it is, to be refused. */
function layersOf({ linears, batchNorms, activation }: Network): (Layer | BatchNorm)[] {
  const activations = activation === 'none' ? [] : [activation as unknown as Layer]
  return linears.flatMap((linear, layer) =>
    layer < batchNorms.length ? [linear, batchNorms[layer], ...activations] : [linear],
  )
}

function regionOf({ accuracy, network: trained }: Trained): Region {
  const place = (index: number) => (index / (GRID - 1)) * 2 * EDGE - EDGE
  const points = new Float32Array(GRID * GRID * 2)
  for (let point = 0; point < GRID * GRID; point++) {
    points[2 * point] = place(point % GRID)
    points[2 * point + 1] = place(Math.floor(point / GRID))
  }
  const { data } = run(trained, new Tensor(points, [GRID * GRID, 2]))
  const margins = Float32Array.from(
    { length: GRID * GRID },
    (_, point) => data[2 * point + 1] - data[2 * point],
  )
  return { accuracy, margins }
}

function affineErrorOf(
  batchNorm: BatchNorm,
  x: Tensor,
): Pick<ActivationAnswer, 'affineError' | 'largestOutput'> {
  const { scale, shift } = toAffine(batchNorm)
  const { data } = batchNorm.forward(x)
  let affineError = 0
  let largestOutput = 0
  data.forEach((y, at) => {
    const channel = at % scale.length
    affineError = Math.max(affineError, Math.abs(y - (scale[channel] * x.data[at] + shift[channel])))
    largestOutput = Math.max(largestOutput, Math.abs(y))
  })
  return { affineError, largestOutput }
}

function refusalOf(network: Network): string {
  try {
    collapse(layersOf(network))
  } catch (error) {
    return (error as Error).message
  }
  throw new Error('Expected collapse to refuse a ReLU')
}
