/** One hash over 200 mixed operations: the same on every backend, with any number of threads, on any machine. */
import { afterAll, expect, test } from 'vitest'
import { activeBackend, setNumThreads } from '../lib/index.ts'
import { describeEachBackend } from './support/backends.ts'
import { hashOfMixedOperations } from './support/mixed-operations.ts'

/** Of this version of the arithmetic; `npm run reproducibility` prints it. */
const expected = '445f2b6a47a912f1a94ac1b1744c5bd1fdba6e50e79a410accaecd84e9acb993'

const { threads } = activeBackend()
afterAll(() => setNumThreads(threads))

describeEachBackend('200 mixed operations', ({ instructionSet }) => {
  test('have the hash that is written here', () => {
    // Another number of threads on each instruction set.
    if (instructionSet !== null) setNumThreads(1 + (instructionSet.length % 4))
    expect(hashOfMixedOperations()).toBe(expected)
  }, 60_000)
})
