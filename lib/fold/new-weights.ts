/** What a layer's weights have become, rounded to the types that they had. */
import { describe } from '../checks/errors.ts'
import type { ResultData } from '../functional/arguments.ts'
import type { FloatArray, FloatType, TensorData } from '../tensor/data-type.ts'
import { type Tensor, tensor } from '../tensor/tensor.ts'
import { type AnyLayer, type CheckedLayer, eachWeight } from './layer.ts'

/** A layer with new weights, of the types of the old ones; a bias that is new has the type of the weight. */
export type FoldedLayer<Kind extends AnyLayer = AnyLayer> = Kind & {
  readonly weight: Tensor<ResultData<Kind['weight']['data']>>
  readonly bias: Tensor<ResultData<BiasData<Kind>>>
}

type BiasData<Kind extends AnyLayer> = [ArrayOf<Kind['bias']>] extends [never]
  ? Kind['weight']['data']
  : ArrayOf<Kind['bias']>

type ArrayOf<Vector> = Vector extends TensorData
  ? Vector
  : Vector extends { readonly data: infer Data extends TensorData }
    ? Data
    : never

/** Weights that were rounded once. */
export type NewWeights = Readonly<Record<'weight' | 'bias', Tensor<FloatArray<FloatType>>>>

/** Rounds weights to the types of a layer: to nearest, ties to even. */
export function roundedWeights(
  { shape, outputs, type, biasType }: CheckedLayer,
  weight: Float64Array,
  bias: Float64Array,
): NewWeights {
  return {
    weight: tensor(weight, shape, { dtype: type }),
    bias: tensor(bias, [outputs], { dtype: biasType }),
  }
}

/**
 * The same layer with other weights, rounded once.
 *
 * @throws RangeError that names the output channels whose numbers do not fit the types of the layer
 */
export function withWeights<Kind extends AnyLayer>(
  layer: Kind,
  checked: CheckedLayer,
  weight: Float64Array,
  bias: Float64Array,
): FoldedLayer<Kind> {
  const rounded = roundedWeights(checked, weight, bias)
  assertFinite(checked, rounded, [checked.type, checked.biasType])
  return { ...layer, ...rounded } as unknown as FoldedLayer<Kind>
}

/**
 * @param types - those of weight and bias, for the error
 * @throws RangeError that names the output channels whose numbers do not fit the types
 */
export function assertFinite(
  layer: CheckedLayer,
  { weight, bias }: NewWeights,
  types: readonly string[],
): void {
  const isWrong = new Uint8Array(layer.outputs)
  const numbers = weight.numbers()
  eachWeight(layer, (at, _, output) => {
    if (!Number.isFinite(numbers[at])) isWrong[output] = 1
  })
  bias.numbers().forEach((value, output) => {
    if (!Number.isFinite(value)) isWrong[output] = 1
  })
  const wrong = Array.from(isWrong.keys()).filter((output) => isWrong[output])
  if (wrong.length === 0) return
  throw new RangeError(
    `Expected new weights of ${layer.name} that fit ${[...new Set(types)].join(' and ')} but received others in ` +
      `output channels ${describe(wrong)} (is a weight or a running statistic NaN or Infinity, or a running ` +
      'variance near 0 with a tiny eps?)',
  )
}
