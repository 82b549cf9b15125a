import { absorbScale, type BatchNorm, foldIntoPrevious, type Layer } from '../../../lib/index.ts'

/** Linear, batch norm, ReLU, Linear in eval mode: first without gamma, then without batch norm. */
export function simplify(first: Layer, batchNorm: BatchNorm, second: Layer) {
  // relu(gamma * x + beta) = gamma * relu(x + beta / gamma): gamma moves into the second layer.
  const absorbed = absorbScale(batchNorm, 'relu', second)
  // What is left scales and shifts by constants, which the first layer can do as well.
  const folded = foldIntoPrevious(first, absorbed.batchNorm)
  return { batchNorm: absorbed.batchNorm, first: folded.layer, second: absorbed.next }
}
