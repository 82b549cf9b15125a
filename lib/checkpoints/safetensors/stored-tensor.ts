import { has } from '../../checks/copies.ts'
import { invalidValue } from '../../checks/errors.ts'
import { refuseCloning } from '../../checks/fixed-properties.ts'
import type { Shape } from '../../tensor/shape.ts'
import { Tensor, type TensorData } from '../../tensor/tensor.ts'
import { assertOneArray, tensorOf } from './element.ts'
import { type Entry, tensorName } from './header.ts'
import type { Source } from './source.ts'

const brand: unique symbol = Symbol.for('batchnorm.StoredTensor')

function cloneWhatReadGivesInstead() {}

/** Whether it is a tensor of a file, of this copy of the library or another. */
export function isStoredTensor(value: unknown): value is StoredTensor {
  return has(brand, value)
}

/** A tensor that lies in a safetensors file: what the header says of it, and its values when they are asked for. */
export class StoredTensor {
  /** The type of an element as the format names it, such as `'F32'` or `'BF16'`. */
  readonly type: string
  /** The sizes of its axes; `[]` for a single value. */
  readonly shape: Shape
  /** How many bytes its values take in the file. */
  readonly byteLength: number

  readonly #name: string
  readonly #begin: number
  readonly #source: Source

  constructor(key: string, { type, shape, begin, end }: Entry, source: Source) {
    this.type = type
    this.shape = shape
    this.byteLength = end - begin
    this.#name = tensorName(key, source.name)
    this.#begin = begin
    this.#source = source
    refuseCloning(this, cloneWhatReadGivesInstead)
  }

  /** @internal */
  get [brand](): true {
    return true
  }

  /**
   * The values, in memory of their own; integers of whatever type as int64.
   *
   * @throws TypeError for a type that a `Tensor` cannot have, of which there are `bytes()` only; RangeError for
   * a U64 that does not fit int64
   */
  read(): Tensor<TensorData> {
    return tensorOf(this.#name, this.type, this.shape, () => this.#source.read(this.#begin, this.byteLength))
  }

  /**
   * The values as numbers to compute with, in memory of their own: BF16 and F16 widened to float32, which
   * is exact; integers as int64; F32 and F64 as they are.
   *
   * @throws as `read` does
   */
  numbers(): Tensor<Float32Array | Float64Array | BigInt64Array> {
    return new Tensor(this.read().numbers(), this.shape)
  }

  /**
   * The bytes from `begin` to `end` as they are in the file, little-endian; a copy.
   *
   * @throws RangeError for what is not a part of them, and for more than an array can have: 4 GiB in Node.js 20
   */
  bytes(begin = 0, end = this.byteLength): Uint8Array {
    const isPart = Number.isInteger(begin) && Number.isInteger(end) && 0 <= begin && begin <= end
    if (!isPart || end > this.byteLength) {
      throw invalidValue('begin and end', `within the ${this.byteLength} bytes of ${this.#name}`, [
        begin,
        end,
      ])
    }
    assertOneArray(`the bytes of ${this.#name}`, end - begin, 'bytes(begin, end) gives a part of them')
    return new Uint8Array(this.#source.read(this.#begin + begin, end - begin))
  }
}
