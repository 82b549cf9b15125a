/** What a figure was measured on: no figure stands without it. */
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { describeMachine, type Machine, machineLine } from '../cli/measure/machine.ts'

export interface Processor extends Machine {
  /** What tells it from others of the same name: `family 26`, `model 2`. */
  readonly marks: readonly string[]
}

export function describeProcessor(): Processor {
  const machine = describeMachine()
  const caches = Object.keys(machine.caches).length > 0 ? machine.caches : askForCaches()
  return { ...machine, caches, marks: readMarks() }
}

/** `AMD EPYC family 26 model 2` */
export function processorTitle({ cpu, marks }: Processor): string {
  return [cpu, ...marks].join(' ')
}

/** All that is known of it, in a line. */
export function processorLine(processor: Processor): string {
  return machineLine({ ...processor, cpu: processorTitle(processor) })
}

/** For the name of a file: `amd-epyc-family-26-model-2-l2-1024k-l3-32768k`. */
export function fileNameOf({ cpu, marks, caches }: Processor): string {
  const sizes = ['L2', 'L3'].filter((name) => caches[name]).map((name) => `${name} ${caches[name] / 1024}k`)
  return [cpu, ...marks, ...sizes]
    .join(' ')
    .toLowerCase()
    .replace(/\((r|tm)\)/g, '')
    .replace(/[^a-z0-9.]+/g, '-')
}

/** A virtual machine's `cpu` says little: AMD EPYC is Zen 2, 3, 4 and 5. */
function readMarks(): string[] {
  const file = '/proc/cpuinfo'
  if (!existsSync(file)) return []
  const text = readFileSync(file, 'utf8')
  return [
    ['family', /^cpu family\s*: (.*)$/m],
    ['model', /^model\s*: (.*)$/m],
    ['implementer', /^CPU implementer\s*: (.*)$/m],
    ['part', /^CPU part\s*: (.*)$/m],
  ].flatMap(([title, pattern]) => {
    const found = text.match(pattern)
    return found === null ? [] : [`${title} ${found[1]}`]
  })
}

/** The processor's own words, where Linux has no folder about its caches. */
function askForCaches(): Record<string, number> {
  const names = { L1d: 'LEVEL1_DCACHE_SIZE', L2: 'LEVEL2_CACHE_SIZE', L3: 'LEVEL3_CACHE_SIZE' }
  const sizeOf = (name: string) => {
    try {
      return Number(
        execFileSync('getconf', [name], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }),
      )
    } catch {
      return 0
    }
  }
  return Object.fromEntries(
    Object.entries(names)
      .map(([cache, name]) => [cache, sizeOf(name)] as const)
      .filter(([, size]) => size > 0),
  )
}
