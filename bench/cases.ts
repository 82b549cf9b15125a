import { type Operation, operationsOn } from '../cli/measure/operations.ts'
import { nameOf } from '../cli/measure/shapes.ts'
import { type BackendName, BatchNorm1d, functional } from '../lib/index.ts'
import type { Shape } from '../lib/tensor/shape.ts'
import { copyLoop } from './support/copy.ts'
import { tensorFlowCase } from './tensorflow.ts'

export interface Case extends Operation {
  readonly shape: Shape
  /** The backend that has to run; `null` for what is not this library's. */
  readonly backend: BackendName | null
}

/** Two of each layout, in the cache and beyond, and the small one that shows what a call costs. */
const shapes: readonly Shape[] = [
  [32, 64],
  [256, 512],
  [4096, 256],
  [32, 64, 1024],
  [4096, 1024],
  [64, 128, 784],
  [65536, 256],
]
const tensorFlowShape: Shape = [4096, 256]
/** Above it the TypeScript backend only takes longer. */
const mostOfTypescript = 2 ** 20

/** The cases of each shape, the copy that all others are held against first, made when its turn comes, so that only one shape is in memory. */
export function* casesByShape(): Generator<readonly Case[]> {
  for (const shape of shapes) yield casesOf(shape)
}

function casesOf(shape: Shape): Case[] {
  const { input, gradOutput, out, copy, ...plain } = operationsOn(shape)
  const x = input.data
  const weight = new Float32Array(shape[1]).fill(1.5)
  const bias = new Float32Array(shape[1]).fill(0.5)
  const running = { runningMean: new Float32Array(shape[1]), runningVar: new Float32Array(shape[1]).fill(1) }
  const training = new BatchNorm1d(shape[1])
  const evaluation = new BatchNorm1d(shape[1]).eval()
  training.forward(input)
  const { mean, invstd } = functional.batchNormStats(input)

  const module = [plain.forward, plain.backward, plain.eval]
  const others: Operation[] = [
    { name: 'forward', passes: 3, run: () => training.forward(input) },
    { name: 'backward', passes: 5, run: () => training.backward(gradOutput) },
    { name: 'eval', passes: 2, run: () => evaluation.forward(input) },
    {
      name: 'functional.batchNorm, out',
      passes: 3,
      run: () => functional.batchNorm(input, { weight, bias, ...running, training: true, out }),
    },
    {
      name: 'functional.batchNormBackward, out',
      passes: 5,
      run: () => functional.batchNormBackward(gradOutput, input, { mean, invstd, weight, out }),
    },
  ]
  const copies: Case[] = [
    { ...copy, shape, backend: null },
    { shape, name: 'copy, a loop in TypeScript', backend: null, passes: 2, run: () => copyLoop(x, out) },
  ]
  const inTypescript = x.length <= mostOfTypescript ? module : []
  return [
    ...copies,
    ...[...module, ...others].map((each) => ({ ...each, shape, backend: 'native' as const })),
    ...inTypescript.map((each) => ({ ...each, shape, backend: 'typescript' as const })),
    ...(nameOf(shape) === nameOf(tensorFlowShape) ? [tensorFlowCase(x, shape)] : []),
  ]
}
