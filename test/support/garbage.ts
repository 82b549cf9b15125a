import { setTimeout } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/**
 * Which of these are alive once garbage was collected. What nobody refers to can outlive a collection, since V8's
 * compiling threads and a marking that had begun hold it; so garbage is collected until no more than `expected` are
 * alive, at most a hundred times.
 */
export async function aliveAfterCollection(
  references: readonly WeakRef<object>[],
  expected = 0,
): Promise<boolean[]> {
  setFlagsFromString('--expose-gc')
  const collectGarbage: () => void = runInNewContext('gc')
  let alive: boolean[] = []
  for (let collections = 0; collections < 100; collections++) {
    // deref() keeps its object alive to the end of the turn.
    await setTimeout(1)
    collectGarbage()
    alive = references.map((reference) => reference.deref() !== undefined)
    if (alive.filter(Boolean).length <= expected) break
  }
  return alive
}
