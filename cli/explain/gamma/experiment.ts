/** Question 1: does gamma matter before a ReLU? */
import { absorbScale, type BatchNorm, type Layer } from '../../../lib/index.ts'
import { type Difference, pairedDifference } from '../../training/statistics.ts'
import type { HiddenActivation, Network } from '../network.ts'
import { type Rewriting, rewritingOf } from '../rewriting.ts'
import type { Study } from '../study.ts'
import type { Trained } from '../training.ts'
import { simplify } from './snippet.ts'

/** The test accuracies before one activation, seed by seed. */
export interface Comparison {
  readonly activation: HiddenActivation
  readonly withGamma: readonly number[]
  readonly withoutGamma: readonly number[]
  readonly difference: Difference
}

export interface GammaAnswer {
  readonly relu: Comparison
  readonly tanh: Comparison
  readonly absorbed: Rewriting
  /** After `absorbed`. */
  readonly folded: Rewriting
  readonly movedPastTanh: Rewriting
  /** What `absorbScale` says about tanh. */
  readonly refusal: string
}

export function answerGamma({ digits: { split, trained } }: Study): GammaAnswer {
  const { test } = split
  const [relu, tanh] = [trained.relu[0].network, trained.tanh[0].network]
  const { absorbed, folded } = rewrite(relu)
  return {
    relu: comparisonOf('relu', trained.relu, trained.reluWithoutGamma),
    tanh: comparisonOf('tanh', trained.tanh, trained.tanhWithoutGamma),
    absorbed: rewritingOf(relu, absorbed, test),
    folded: rewritingOf(relu, folded, test),
    // As if tanh were a ReLU, to see what would come of it.
    movedPastTanh: rewritingOf(tanh, rewrite(tanh).absorbed, test),
    refusal: refusalOf(tanh),
  }
}

function comparisonOf(
  activation: HiddenActivation,
  withGamma: readonly Trained[],
  withoutGamma: readonly Trained[],
): Comparison {
  const [before, after] = [withGamma, withoutGamma].map((runs) => runs.map(({ accuracy }) => accuracy))
  return {
    activation,
    withGamma: before,
    withoutGamma: after,
    difference: pairedDifference(before, after),
  }
}

/** A trained network without the gammas of its hidden layers, and then without their batch norms. */
function rewrite({ linears, batchNorms, activation }: Network): { absorbed: Network; folded: Network } {
  const absorbed = { linears: [linears[0]], batchNorms: [] as BatchNorm[], activation }
  const folded = { linears: [] as Layer[], batchNorms: [], activation }
  batchNorms.forEach((batchNorm, layer) => {
    const simple = simplify(absorbed.linears[layer], batchNorm, linears[layer + 1])
    absorbed.batchNorms.push(simple.batchNorm)
    absorbed.linears.push(simple.second)
    folded.linears.push(simple.first)
  })
  folded.linears.push(absorbed.linears[batchNorms.length])
  return { absorbed, folded }
}

function refusalOf({ linears, batchNorms, activation }: Network): string {
  try {
    absorbScale(batchNorms[0], activation as HiddenActivation, linears[1])
  } catch (error) {
    return (error as Error).message
  }
  throw new Error(`Expected absorbScale to refuse ${activation}`)
}
