import type { Values } from '../backend/backend.ts'
import type { FloatType } from '../tensor/data-type.ts'
import { outputArray } from '../tensor/output-memory.ts'

/** How often each such memory was handed out for something new. */
const versions = new WeakMap<ArrayBufferLike, number>()
/** Whether there is any: other programs need not look. */
let isInUse = false

/** Memory that a module with `reuse: true` writes one result into after the other. */
export class ReusedMemory {
  #array: Values | null = null
  #type: FloatType = 'float32'

  constructor() {
    isInUse = true
  }

  /** The same array again, if it is still there, of that length and type. */
  arrayFor(length: number, type: FloatType): Values {
    if (this.#array?.length !== length || this.#type !== type) {
      this.#array = outputArray(length, type)
      this.#type = type
    }
    return this.#array
  }
}

/** Says that an array is about to be written with something new, if it is such memory. */
export function noteRewritten({ buffer }: Values): void {
  versions.set(buffer, (versions.get(buffer) ?? 0) + 1)
}

/** Another number after each `noteRewritten`. */
export function versionOf({ buffer }: Values): number {
  return isInUse ? (versions.get(buffer) ?? 0) : 0
}
