/** Has a process end as a plan says, and looks at what is left. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { loadSafetensors, saveSafetensors, tensor } from '../../lib/index.ts'
import { bundled } from './bundle.ts'
import { type Duty, type MainEnd, type Plan, plannedError, plannedExitCode } from './end-plan.ts'
import { knownHashes } from './known-work.ts'

const rightEnds: Readonly<Record<MainEnd, string>> = {
  SIGKILL: 'SIGKILL',
  SIGTERM: 'SIGTERM',
  'process.exit()': String(plannedExitCode),
  exception: '1',
  rejection: '1',
  'its last line': '0',
}
/** What still runs then hangs. On a machine whose processors others have, two minutes were not enough. */
const deadline = 600_000

let prepared: Promise<{ program: string; known: Duty['known'] }> | undefined

async function prepare() {
  return {
    program: await bundled(new URL('../processes/ending.ts', import.meta.url)),
    known: knownHashes(),
  }
}

/** Carries a plan out, and says what was wrong: nothing. */
export async function faultsOf({ main, isEarly, workers }: Plan): Promise<string[]> {
  prepared ??= prepare()
  const { program, known } = await prepared
  const folder = mkdtempSync(join(tmpdir(), 'batchnorm-ends-'))
  try {
    const path = join(folder, 'checkpoint')
    saveSafetensors(path, { values: tensor([1]) })
    const duty: Duty = { plan: main, workers, path, known }
    const { PATH = '' } = process.env
    const child = spawn(process.execPath, [program, JSON.stringify(duty)], { env: { PATH } })
    const said = Promise.all([text(child.stdout), text(child.stderr)])
    const closed = once(child, 'close')
    let isHanging = false
    const alarm = setTimeout(() => {
      isHanging = true
      child.kill('SIGKILL')
    }, deadline)
    if (isSignal(main.end)) await Promise.race([signalled(child, main, isEarly), closed])
    const [code, signal] = await closed
    clearTimeout(alarm)
    const [stdout, stderr] = await said
    const end = String(signal ?? code)
    const isError = main.end === 'exception' || main.end === 'rejection'
    const isRightStderr = isError ? stderr.includes(`Error: ${plannedError}\n`) : stderr === ''
    const [most, stale] = [
      mostStale(main, workers),
      readdirSync(folder).filter((name) => name !== 'checkpoint'),
    ]
    const faults = [
      isHanging && `it did not end within ${deadline} ms`,
      end !== rightEnds[main.end] && `${main.end} ended with ${end}`,
      !/^(working\n)?$/.test(stdout) && `it said ${stdout}`,
      !isRightStderr && `its errors are ${stderr}`,
      tornBy(path),
      !(stale.length <= most && stale.every((name) => /^batchnorm-[0-9a-f]{16}\.tmp$/.test(name))) &&
        `${stale} are left, where at most ${most} threads were ended while they saved`,
    ]
    return faults.filter((fault) => typeof fault === 'string')
  } finally {
    rmSync(folder, { recursive: true })
  }
}

function isSignal(end: MainEnd): boolean {
  return end === 'SIGKILL' || end === 'SIGTERM'
}

async function signalled(child: ChildProcess, { end, delay }: Plan['main'], isEarly: boolean): Promise<void> {
  if (!isEarly && child.stdout !== null) await once(child.stdout, 'data')
  await sleep(delay)
  child.kill(end as NodeJS.Signals)
}

/** Of every thread that is ended by another while it saves a temporary file is left, and of no other. */
function mostStale(main: Plan['main'], workers: Plan['workers']): number {
  const ended = workers.filter(({ end }) => end === 'terminate()' || main.end !== 'its last line')
  return [...(isSignal(main.end) ? [main] : []), ...ended].filter(({ works }) => works.includes('saves'))
    .length
}

/** How the checkpoint is torn: it is not. */
function tornBy(path: string): string | false {
  try {
    using file = loadSafetensors(path)
    const { data } = file.get('values')
    return !data.every((value) => value === data.length) && 'the checkpoint has values of two'
  } catch (error) {
    return `the checkpoint is torn: ${error}`
  }
}
