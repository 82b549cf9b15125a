import { invalidType, quoted, wrongLength } from '../checks/errors.ts'
import { assertWritable, whileInFlight } from '../checks/in-flight.ts'
import type { Collective } from './collective.ts'
import { CollectiveError } from './collective-error.ts'
import type { Engine } from './engine.ts'
import { differences, headerOf, type Operation } from './header.ts'

/** A collective of an engine: what engines answer with wrong sums, or with the end of the process, are errors here. */
export function guarded(engine: Engine): Collective {
  return new Guarded(engine)
}

class Guarded implements Collective {
  readonly rank: number
  readonly size: number
  readonly #engine: Engine
  /** How many operations have been called, which is what the next one is told by. */
  #count = 0
  /** The end of the last asynchronous operation; none is under way if there is none. */
  #last: Promise<void> | undefined
  #end: { readonly cause: unknown } | undefined

  constructor(engine: Engine) {
    this.rank = engine.rank
    this.size = engine.size
    this.#engine = engine
  }

  allReduceSum(values: Float64Array, key = ''): void {
    this.#check(values, key)
    if (this.#last) {
      throw new TypeError(
        'Expected this collective to be idle but received a call while another operation is under way ' +
          '(await that one, or call allReduceSumAsync, which waits its turn)',
      )
    }
    const operation = this.#next(values, key)
    if (this.size === 1) return
    try {
      const header = headerOf(operation)
      this.#engine.allReduceSum(header)
      this.#compare(header, operation)
      this.#engine.allReduceSum(values)
    } catch (error) {
      throw this.#die(error)
    }
  }

  async allReduceSumAsync(values: Float64Array, key = ''): Promise<void> {
    this.#check(values, key)
    const operation = this.#next(values, key)
    // The caller's array may be given away meanwhile, and all ranks wait for this one's numbers.
    const sums = values.slice()
    const mine = whileInFlight([], [values], async () => {
      await this.#inTurn(() => this.#reduce(sums, operation))
      if (values.length !== sums.length) throw wrongLength('values', values, sums.length, 'the sums')
      values.set(sums)
    })
    return mine
  }

  close(): void {
    if (this.#end) return
    this.#end = { cause: undefined }
    this.#engine.close()
  }

  #check(values: Float64Array, key: string): void {
    if (!(values instanceof Float64Array)) throw invalidType('values', 'a Float64Array', values)
    if (isDetached(values)) {
      throw invalidType(
        'values',
        'an array with its memory',
        'one whose memory is gone',
        'was it transferred?',
      )
    }
    if (typeof key !== 'string') throw invalidType('key', 'a string', key)
    assertWritable('values', values)
    if (this.#end) throw this.#closed()
  }

  #next({ length }: Float64Array, key: string): Operation {
    return { number: this.#count++, key, length }
  }

  /** Runs when all that were called before have ended. */
  async #inTurn(run: () => Promise<void>): Promise<void> {
    const before = this.#last
    const mine = (async () => {
      await before?.catch(() => {})
      if (this.#end) throw this.#closed()
      await run()
    })()
    this.#last = mine
    try {
      await mine
    } finally {
      if (this.#last === mine) this.#last = undefined
    }
  }

  async #reduce(sums: Float64Array, operation: Operation): Promise<void> {
    if (this.size === 1) return
    try {
      const header = headerOf(operation)
      await this.#engine.allReduceSumAsync(header)
      this.#compare(header, operation)
      await this.#engine.allReduceSumAsync(sums)
    } catch (error) {
      throw this.#die(error)
    }
  }

  #compare(header: Float64Array, { key, length, number }: Operation): void {
    const different = differences(header, this.size)
    if (different.length === 0) return
    throw new CollectiveError(
      'ERR_COLLECTIVE_MISMATCH',
      `Expected all ${this.size} ranks to be in one operation but received another ${different.join(' and ')} on ` +
        `some: rank ${this.rank} is in operation number ${number}, with the key ${quoted(key)} and ${length} values ` +
        '(do all ranks call the same layers in the same order?)',
    )
  }

  /** The error to throw: that which ended it, unless it was closed meanwhile. */
  #die(error: unknown): unknown {
    if (this.#end) return this.#closed()
    this.#end = { cause: error }
    // So that no other rank waits for this one.
    this.#engine.close()
    return error
  }

  #closed(): CollectiveError {
    const cause = this.#end?.cause
    const how = cause instanceof Error ? `an earlier error has ended (${cause.message})` : 'was closed'
    const message = `Expected a collective that is open but received one that ${how}`
    return new CollectiveError('ERR_COLLECTIVE_CLOSED', message, cause === undefined ? {} : { cause })
  }
}

/** What was given away looks like an empty array, and all ranks would see another length. */
function isDetached({ length, buffer }: Float64Array): boolean {
  if (length > 0) return false
  try {
    new Uint8Array(buffer)
    return false
  } catch {
    return true
  }
}
