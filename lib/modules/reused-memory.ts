import type { Values } from '../backend/backend.ts'
import { shared } from '../checks/copies.ts'
import type { FloatType } from '../tensor/data-type.ts'
import { outputArray } from '../tensor/output-memory.ts'

const all = shared('reusedMemory', () => ({
  /** How often each such memory was handed out for something new. */
  versions: new WeakMap<ArrayBufferLike, number>(),
  /** Whether there is any: other programs need not look. */
  isInUse: false,
}))

/** Memory that a module with `reuse: true` writes one result into after the other. */
export class ReusedMemory {
  #array: Values | null = null
  #type: FloatType = 'float32'

  constructor() {
    all.isInUse = true
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
  all.versions.set(buffer, (all.versions.get(buffer) ?? 0) + 1)
}

/** Another number after each `noteRewritten`. */
export function versionOf({ buffer }: Values): number {
  return all.isInUse ? (all.versions.get(buffer) ?? 0) : 0
}
