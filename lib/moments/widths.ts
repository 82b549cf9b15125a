/** The modules of a network, which may have some for each of its widths. */
import { invalidType, quoted } from '../checks/errors.ts'
import { type AnyBatchNorm, insteadOfDomains, isBatchNorm } from '../modules/batch-norm.ts'
import { modulesOf, wantedModules } from './network-call.ts'

/** One batch norm, or several. */
export type Modules = AnyBatchNorm | readonly AnyBatchNorm[]

/** Modules that go through the batches together. */
export interface Width {
  /** `null`: there are no others. */
  readonly name: string | null
  readonly modules: readonly AnyBatchNorm[]
}

/** At which width the network runs. */
export interface Turn {
  now: string | null
}

/** @throws TypeError for what is no modules, and for a module that stands in two widths */
export function widthsOf(given: Modules | Readonly<Record<string, Modules>>): Width[] {
  const isObject =
    typeof given === 'object' && given !== null && !(isBatchNorm(given) || Array.isArray(given))
  const entries = isObject ? Object.entries(given) : [[null, given as Modules] as const]
  const fix = insteadOfDomains(given)
  if (entries.length === 0 || fix) {
    throw invalidType('modules', `${wantedModules}, or such by width,`, given, fix)
  }
  const found = new Map<AnyBatchNorm, string | null>()
  return entries.map(([name, modules]) => {
    const own = modulesOf(modules, name === null ? 'modules' : `modules['${name}']`)
    for (const module of own) {
      const other = found.get(module)
      if (other !== undefined) {
        throw new TypeError(
          `Expected ${module} to stand in one width but received it in ${quoted(String(other))} and ` +
            `${quoted(String(name))} (its statistics would be a mixture)`,
        )
      }
      found.set(module, name)
    }
    return { name, modules: own }
  })
}

/** What sends a batch through the network once for each width. */
export function eachWidth<Batch>(
  widths: readonly Width[],
  run: (batch: Batch, width: string) => unknown,
  turn: Turn,
): (batch: Batch) => Promise<void> {
  return async (batch) => {
    for (const { name } of widths) {
      turn.now = name
      await (name === null ? (run as (batch: Batch) => unknown)(batch) : run(batch, name))
    }
  }
}

/** @throws TypeError for a module that is called while the network runs at another width than its own */
export function assertTurn(module: AnyBatchNorm, width: string | null, { now }: Turn): void {
  if (now === width) return
  const [running, own] = [now, width].map((name) => quoted(String(name)))
  throw new TypeError(
    `Expected run(batch, ${running}) to call modules of ${running} but received a call of ${module}, which stands ` +
      `in ${own} (its statistics would be a mixture)`,
  )
}
