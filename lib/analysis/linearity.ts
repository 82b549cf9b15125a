import { invalidShape, invalidType } from '../checks/errors.ts'
import { floatTensor, floatTypeOf, type TensorLike } from '../checks/tensors.ts'
import { type AnyBatchNorm, isBatchNorm } from '../modules/batch-norm.ts'
import { copyOf } from '../modules/copy.ts'
import { elementCount, sameShape } from '../tensor/shape.ts'
import { Tensor } from '../tensor/tensor.ts'

/** Anything that makes a tensor of a tensor: a module, or a network. */
export interface Forward<Data extends Numbers = Float32Array> {
  /** The output for an input; `linearity` asks for its shape and values only. */
  forward(input: TensorLike<Data>): TensorLike<Data>
}

type Numbers = Float32Array | Float64Array

/** What `linearity` measures; both are parts of the largest output, without a unit. */
export interface Linearity {
  /**
   * `max |f(a x + (1 - a) z) - (a f(x) + (1 - a) f(z))|` over a = 1/4, 1/2, 3/4, by the largest |f(x)|
   * or |f(z)|. An affine function has 0, up to rounding.
   */
  readonly deviation: number
  /**
   * The largest change in the outputs of the other samples of x when its first sample is replaced by
   * z's, by the largest |f(x)|. Exactly 0 where each sample is treated alone, as in eval mode.
   */
  readonly coupling: number
}

/**
 * How far from affine a module is on the user's own data. A batch norm that normalizes with its running
 * statistics, as in eval mode, is affine in each channel; with those of the batch it is not, because x itself
 * decides what it is divided by.
 *
 * A batch norm is left as it is: neither its running statistics move nor what its `backward` needs.
 * Of any other module `forward` is called six times.
 *
 * @param x - a batch of at least two samples, float32 or float64
 * @param z - another of the same shape and type
 * @throws TypeError or RangeError for an argument that does not fit; what the `forward` of the module throws
 */
export function linearity<Data extends Numbers = Float32Array>(
  module: Forward<Data> | AnyBatchNorm,
  x: TensorLike<Data>,
  z: TensorLike<Data>,
): Linearity {
  const type = floatTypeOf('x', x) === 'float64' ? 'float64' : 'float32'
  const [first, second] = [floatTensor('x', x, type), floatTensor('z', z, type)] as [Data, Data]
  if (!sameShape(x.shape, z.shape)) throw invalidShape('z', `that of x, [${x.shape.join(', ')}],`, z.shape)
  const samples = x.shape[0]
  if (!(samples >= 2)) throw invalidShape('x', '[N, ...] with at least 2 samples', x.shape)
  if (typeof module?.forward !== 'function') {
    throw invalidType('module', 'a module with a forward(input)', module)
  }
  const apply: Forward<Data>['forward'] = isBatchNorm(module)
    ? withoutTrace(module)
    : (input) => module.forward(input)
  const f = (data: Data) => Float64Array.from(apply(new Tensor(data, x.shape)).data)

  const [ofX, ofZ] = [f(first), f(second)]
  const largest = Math.max(largestOf(ofX), largestOf(ofZ)) || 1
  let deviation = 0
  for (const a of [0.25, 0.5, 0.75]) {
    const mixed = f(first.map((value, at) => a * value + (1 - a) * second[at]) as Data)
    for (let at = 0; at < mixed.length; at++) {
      deviation = Math.max(deviation, Math.abs(mixed[at] - (a * ofX[at] + (1 - a) * ofZ[at])))
    }
  }

  const exchanged = first.slice() as Data
  exchanged.set(second.subarray(0, elementCount('x', x.shape.slice(1))))
  const ofExchanged = f(exchanged)
  let coupling = 0
  for (let at = ofX.length / samples; at < ofX.length; at++) {
    coupling = Math.max(coupling, Math.abs(ofExchanged[at] - ofX[at]))
  }
  return { deviation: deviation / largest, coupling: coupling / (largestOf(ofX) || 1) }
}

function largestOf(values: Float64Array): number {
  return values.reduce((largest, value) => Math.max(largest, Math.abs(value)), 0)
}

/** What the module's forward gives in its mode, without its effects: each time that of another copy. */
function withoutTrace<Data extends Numbers>(module: AnyBatchNorm): Forward<Data>['forward'] {
  return (input) => copyOf(module).forward(input) as TensorLike<Data>
}
