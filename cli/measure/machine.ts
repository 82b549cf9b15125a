import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { cpus, release, totalmem, type } from 'node:os'

/** What a measurement was made on. */
export interface Machine {
  readonly cpu: string
  readonly cores: number
  /** Bytes by cache, as the system tells them: `L1d`, `L2`, `L3`; empty where it does not tell. */
  readonly caches: Readonly<Record<string, number>>
  readonly memory: number
  readonly system: string
  readonly node: string
  readonly date: string
}

export function describeMachine(): Machine {
  return {
    cpu: cpus()[0].model,
    cores: cpus().length,
    caches: readCaches(),
    memory: totalmem(),
    system: `${type()} ${release()}`,
    node: process.version,
    date: new Date().toISOString(),
  }
}

/** The largest cache; 0 where the system does not tell. */
export function lastLevelCache({ caches }: Machine): number {
  return Math.max(0, ...Object.values(caches))
}

export function machineLine({ cpu, cores, caches, system, node, date }: Machine): string {
  const sizes = Object.entries(caches).map(([name, bytes]) => `${name} ${bytes / 1024} KiB`)
  return [`${cpu}, ${cores} cores`, ...sizes, system, `Node.js ${node}`, date.slice(0, 10)].join(' · ')
}

/** https://www.kernel.org/doc/Documentation/ABI/testing/sysfs-devices-system-cpu */
function readCaches(): Record<string, number> {
  const folder = '/sys/devices/system/cpu/cpu0/cache'
  if (!existsSync(folder)) return {}
  const caches = readdirSync(folder)
    .filter((name) => name.startsWith('index'))
    .map((name) => (property: string) => readFileSync(`${folder}/${name}/${property}`, 'utf8').trim())
    .filter((read) => read('type') !== 'Instruction')
    .map((read) => {
      const name = `L${read('level')}${read('type') === 'Data' ? 'd' : ''}`
      return [name, Number.parseInt(read('size'), 10) * 1024]
    })
  return Object.fromEntries(caches)
}
