/** One hash over 200 mixed operations: the same on every backend, with any number of threads, on any machine. */
import { afterAll, expect, test } from 'vitest'
import { activeBackend, setNumThreads } from '../lib/index.ts'
import { describeEachBackend } from './support/backends.ts'
import { expectedHash, hashOfMixedOperations } from './support/mixed-operations.ts'

const { threads } = activeBackend()
afterAll(() => setNumThreads(threads))

describeEachBackend('200 mixed operations', ({ instructionSet }) => {
  test('have the hash that is written here', () => {
    // Two or three threads; TypeScript has one.
    if (instructionSet !== null) setNumThreads(2 + (instructionSet.length % 3))
    expect(hashOfMixedOperations()).toBe(expectedHash)
  })
})
