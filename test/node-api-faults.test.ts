/** The addon while Node-API, or memory, fails: that of .ci/build-with-faults, in processes of their own. */
import { describe, expect, test } from 'vitest'
import type { FaultKind, FaultMode, Report } from './processes/faulting.ts'
import { run } from './support/processes.ts'

const folder = process.env.BATCHNORM_FAULTS
if (folder === undefined) {
  console.warn('NOT TESTED: faults in Node-API. Build the addon for them: .ci/build-with-faults FOLDER')
}

const kinds: readonly FaultKind[] = ['calls', 'exceptions', 'allocations']
const modes: readonly FaultMode[] = ['once', 'for good']
const minutes = 60_000

describe.skipIf(folder === undefined)('whatever call of the addon fails', () => {
  const cases = kinds.flatMap((kind) => modes.map((mode) => ({ kind, mode })))
  test.each(cases)(
    '$kind, $mode: the right bits, or an error after which nothing has changed, and the next call gives the right bits',
    async ({ kind, mode }) => {
      const environment = { BATCHNORM_PREBUILD: folder, UV_THREADPOOL_SIZE: '1' }
      const { stdout, ...end } = await run('faulting.ts', [kind, mode], environment)
      const last = stdout.split('\n').at(-1) ?? ''
      expect(end, `the end came in ${last}`).toEqual({ code: 0, signal: null, stderr: '' })
      const report: Report = JSON.parse(last)
      console.log(`${kind}, ${mode}: ${JSON.stringify(report)}`)
      expect(report.problems).toEqual([])
      expect(report.errors).toBeGreaterThan(0)
      if (mode === 'once') expect(report.untold).toBe(0)
    },
    15 * minutes,
  )
})
