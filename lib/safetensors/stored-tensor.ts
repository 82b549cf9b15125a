import type { Shape } from '../shape.ts'
import type { Tensor, TensorData } from '../tensor.ts'
import { numbersOf, tensorOf } from './element.ts'
import { type Entry, tensorName } from './header.ts'
import type { Source } from './source.ts'

/** A tensor that lies in a safetensors file: what the header says of it, and its values when they are asked for. */
export class StoredTensor {
  /** The type of an element as the format names it, such as `'F32'` or `'BF16'`. */
  readonly type: string
  readonly shape: Shape
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
  }

  /**
   * The values, in memory of their own.
   *
   * @throws TypeError for a type that a `Tensor` cannot have, of which there are `bytes()` only, and for
   * BF16 and F16 `numbers()`
   */
  read(): Tensor<TensorData> {
    return tensorOf(this.#name, this.type, this.shape, () => this.bytes().buffer)
  }

  /**
   * The values as numbers to compute with, in memory of their own: BF16 and F16 widened to float32, which
   * is exact; F32, F64 and I64 as they are.
   *
   * @throws TypeError for a type of which there are `bytes()` only
   */
  numbers(): Tensor<TensorData> {
    return numbersOf(this.#name, this.type, this.shape, () => this.bytes().buffer)
  }

  /** The bytes from `begin` to `end` as they are in the file, little-endian; a copy. */
  bytes(begin = 0, end = this.byteLength): Uint8Array<ArrayBuffer> {
    return this.#source.read(this.#begin + begin, end - begin)
  }
}
