import type { Random } from '../support/random.ts'

/** What is fuzzed: one case of it, made of random numbers alone, so that its seed is the whole case. */
export interface Target {
  readonly name: string
  /** @throws Fault for what must not be */
  readonly run: (random: Random) => Promise<void> | void
}

/** What must not be: another error than ours, or a change after an error. */
export class Fault extends Error {}

/**
 * Whether an error is one of ours, in our words. V8 11.3 and 12.4 (Node 20 and 22; 13.6 of Node 24 does not) give a
 * detached array its old length in optimized code that has seen a resizable buffer too, so that a check of the
 * length lets it pass; then the engine refuses it.
 */
export function isOurs(error: unknown): boolean {
  const isOfKind = error instanceof TypeError || error instanceof RangeError
  return isOfKind && /^Expected |detached ArrayBuffer$/.test(error.message)
}

export function pick<Item>(random: Random, items: readonly Item[]): Item {
  return items[random.below(items.length)]
}
