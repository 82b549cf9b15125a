/** What ends, or is let go, in the middle of asynchronous calls. Each case is a process of its own. */
import { describe, expect, test } from 'vitest'
import type { Collected } from './processes/collecting.ts'
import { describeNativeAvailability, natives } from './support/backends.ts'
import { run } from './support/processes.ts'

/** Milliseconds from the moment at which calls are under way. */
const delays = [0, 3, 17]

const scenarios = [
  { scenario: 'process.exit()', delays, code: 7, stdout: '' },
  { scenario: 'process.exit() while workers work', delays, code: 7, stdout: '' },
  {
    scenario: 'process.exit() in workers',
    delays,
    code: 0,
    stdout: 'workers ended with 3, 4: the same bits\n',
  },
  {
    scenario: 'worker.terminate()',
    delays,
    code: 0,
    stdout: 'workers ended with 1, 1: the same bits\n'.repeat(3),
  },
  { scenario: 'the last line', delays: [0], code: 0, stdout: 'at the end: the same bits\n' },
]

describeNativeAvailability()

describe.runIf(natives.length > 0)('asynchronous calls under way', () => {
  describe.each(scenarios)('$scenario ends cleanly', ({ scenario, delays, code, stdout }) => {
    test.each(delays)('after %i ms', async (delay) => {
      const end = await run('ending.ts', [scenario, String(delay)])
      expect(end).toEqual({ code, signal: null, stdout, stderr: '' })
    })
  })

  test('keep their arrays, and nothing else does', async () => {
    const { stdout, stderr } = await run('collecting.ts', [], { UV_THREADPOOL_SIZE: '1' }, ['--expose-gc'])
    expect(stderr).toBe('')
    const { collections, ...rest }: Collected = JSON.parse(stdout)
    expect(collections).toBeGreaterThan(0)
    expect(rest).toEqual({ kept: true, released: true, difference: null })
  })
})
