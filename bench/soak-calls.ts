/**
 * A process of `npm run soak`: calls of one kind, and the memory after a hundredth of them and after all. With
 * `--expose-gc` garbage is collected every thousand calls, so that what grows is what no collection gives back.
 */
import { memoryUsage } from 'node:process'
import { setImmediate } from 'node:timers/promises'
import { kinds } from './soak-kinds.ts'

export interface Memory {
  /** Of the whole process, in MiB. */
  readonly rss: number
  /** V8's heap, which is a part of it. */
  readonly heap: number
}

export interface Soaked {
  readonly before: Memory
  readonly after: Memory
}

const [kind, countText] = process.argv.slice(2)
const call = kinds[kind]
const count = Number(countText)
const collect: () => void = globalThis.gc ?? (() => {})

await repeat(count / 100)
const before = memory()
await repeat(count)
process.send?.({ before, after: memory() } satisfies Soaked)
process.disconnect?.()

/** Calls with a turn of the event loop now and then. */
async function repeat(count: number): Promise<void> {
  for (let index = 1; index <= count; index++) {
    const result = call()
    if (result instanceof Promise) await result
    if (index % 1000 === 0) {
      collect()
      await setImmediate()
    }
  }
}

function memory(): Memory {
  const { rss, heapTotal } = memoryUsage()
  return { rss: Math.round(rss / 2 ** 20), heap: Math.round(heapTotal / 2 ** 20) }
}
