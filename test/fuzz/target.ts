import type { Random } from '../support/random.ts'

/** What is fuzzed: one case of it, made of random numbers alone, so that its seed is the whole case. */
export interface Target {
  readonly name: string
  /** @throws Fault for what must not be */
  readonly run: (random: Random) => Promise<void> | void
}

/** What must not be: another error than ours, or a change after an error. */
export class Fault extends Error {}

/** Whether an error is one of ours, in our words: of an argument, or of a file. */
export function isOurs(error: unknown): boolean {
  const isOfKind = error instanceof TypeError || error instanceof RangeError
  return isOfKind && /^Expected |cannot be differentiated/.test(error.message)
}

export function pick<Item>(random: Random, items: readonly Item[]): Item {
  return items[random.below(items.length)]
}
