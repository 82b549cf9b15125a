import { Presets, SingleBar } from 'cli-progress'
import { activeBackend, type BackendName, setNumThreads, useBackend } from '../../lib/backend/load.ts'
import type { Shape } from '../../lib/tensor/shape.ts'
import { orFail } from '../failure.ts'
import { describeMachine } from '../measure/machine.ts'
import { operationsOn } from '../measure/operations.ts'
import { nameOf } from '../measure/shapes.ts'
import { timingOf } from '../measure/timing.ts'
import { type Measured, type Report, text } from './report.ts'

interface BenchOptions {
  readonly shape: readonly Shape[]
  readonly threads?: number
  readonly json: boolean
}

const timed = ['forward', 'backward', 'eval'] as const

/**
 * `batchnorm bench`: how long forward in training, backward and eval take on this machine, on both
 * backends, beside a copy of the same array.
 */
export async function bench({ shape: shapes, threads, json }: BenchOptions): Promise<string> {
  const loadError = orFail(() => startNative(threads))
  const backends: BackendName[] = loadError === undefined ? ['native', 'typescript'] : ['typescript']
  const native = loadError === undefined ? activeBackend() : null
  const steps = shapes.length * (1 + timed.length * backends.length)
  const progress = new SingleBar(
    { format: '{bar} {value}/{total} | {what}', stream: process.stderr, barsize: 24, clearOnComplete: true },
    Presets.shades_classic,
  )
  progress.start(steps, 0, { what: '' })
  const measured: Measured[] = []
  try {
    for (const shape of shapes) {
      const operations = operationsOn(shape)
      const time = async (name: 'copy' | (typeof timed)[number], backend: BackendName | null) => {
        progress.update({ what: [nameOf(shape), backend, name].filter(Boolean).join(' ') })
        const timing = await timingOf(operations[name], shape)
        progress.increment()
        return timing
      }
      const copy = await time('copy', null)
      measured.push({ shape, operation: 'copy', backend: null, ...copy, timesCopy: 1 })
      for (const backend of backends) {
        useBackend(backend)
        for (const operation of timed) {
          const timing = await time(operation, backend)
          measured.push({ shape, operation, backend, ...timing, timesCopy: timing.median / copy.median })
        }
      }
    }
  } finally {
    progress.stop()
  }
  const report: Report = {
    machine: describeMachine(),
    instructionSet: native?.instructionSet ?? null,
    threads: native?.threads ?? 1,
    loadError: loadError ?? null,
    results: measured,
  }
  return json ? JSON.stringify(report, null, 2) : text(report)
}

/** Why the addon does not load, if it does not. */
function startNative(threads: number | undefined): string | undefined {
  if (threads !== undefined) setNumThreads(threads)
  try {
    useBackend('native')
  } catch (error) {
    // Without a cause it is not the addon that is wrong, but what the environment asks of it.
    const { cause } = error as Error
    if (!(cause instanceof Error)) throw error
    return cause.message
  }
}
