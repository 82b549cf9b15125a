import { describe, quoted } from '../../checks/errors.ts'
import type { State } from '../state-dict.ts'

/** @throws RangeError for a state dict of other domains, and for that of a batch norm */
export function assertDomains(state: State, domains: readonly string[]): void {
  if (state.running_mean !== undefined || state.running_var !== undefined) {
    throw new RangeError(
      'Expected state to have running_mean and running_var of each domain but received those of a batch norm ' +
        '(domain(name).loadStateDict(state) loads them into one)',
    )
  }
  const named = Object.keys(state).map((key) => /^(.*)\.running_(?:mean|var)$/.exec(key)?.[1])
  const unknown = named.find((name) => name !== undefined && !domains.includes(name))
  if (unknown === undefined) return
  throw new RangeError(
    `Expected state to have the domains ${describe(domains)} but received ${quoted(unknown)} too ` +
      `(call addDomain(${quoted(unknown)}) first)`,
  )
}
