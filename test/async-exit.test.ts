/** What ends, or is let go, in the middle of calls. Each case is a process of its own; more by `npm run fuzz`. */
import { afterAll, describe, expect, test } from 'vitest'
import type { Collected } from './processes/collecting.ts'
import { describeNativeAvailability, natives, share } from './support/backends.ts'
import { removeBundles } from './support/bundle.ts'
import { mainEnds, type ThreadPlan, workerEnds } from './support/end-plan.ts'
import { faultsOf } from './support/ends.ts'
import { run } from './support/processes.ts'

/** A thread that does everything. */
const busy = <End>(end: End, isInCall: boolean): ThreadPlan<End> => {
  return { works: ['calls', 'asynchronous calls', 'saves'], poolThreads: 2, end, delay: 50, isInCall }
}

afterAll(removeBundles)
describeNativeAvailability()

describe.each([
  ['between calls', false, 0],
  ['in the middle of a call', true, 1],
] as const)('%s', (_, isInCall, place) => {
  test.each(share(mainEnds, 2, place))(
    'a process that ends by %s ends as it should, and its file is whole',
    async (end) => {
      const workers = [busy('its last line' as const, isInCall)]
      expect(await faultsOf({ main: busy(end, isInCall), isEarly: false, workers })).toEqual([])
    },
  )

  test.each(share(workerEnds, 2, place))(
    'a worker that ends by %s leaves the others their right bits',
    async (end) => {
      const workers = [busy(end, isInCall), busy(end, isInCall)]
      expect(await faultsOf({ main: busy('its last line', false), isEarly: false, workers })).toEqual([])
    },
  )
})

test.runIf(natives.length > 0)('asynchronous calls keep their arrays, and nothing else does', async () => {
  const { stdout, stderr } = await run('collecting.ts', [], { UV_THREADPOOL_SIZE: '1' }, ['--expose-gc'])
  expect(stderr).toBe('')
  const { collections, ...rest }: Collected = JSON.parse(stdout)
  expect(collections).toBeGreaterThan(0)
  expect(rest).toEqual({ kept: true, released: true, difference: null })
})
