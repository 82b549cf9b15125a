import { shared } from '../checks/copies.ts'
import type { AnyBatchNorm } from '../modules/batch-norm.ts'

/** What has each module for itself. */
const holders = shared('holders', () => new WeakMap<AnyBatchNorm, string>())

/**
 * Gives a call modules for itself, where two that write their running statistics or switch their modes would undo each
 * other's work: all or none.
 *
 * @param call - as a caller writes it: `recalibrate()`
 * @returns what gives the modules back
 * @throws TypeError while another call has one
 */
export function claimAll(modules: readonly AnyBatchNorm[], call: string): () => void {
  const releases: (() => void)[] = []
  const releaseAll = () => {
    for (const release of releases) release()
  }
  try {
    for (const module of modules) releases.push(claim(module, call))
  } catch (error) {
    releaseAll()
    throw error
  }
  return releaseAll
}

/**
 * Gives a call a module for itself.
 *
 * @param call - as a caller writes it: `recalibrate()`
 * @returns what gives the module back
 * @throws TypeError while another call has it
 */
export function claim(module: AnyBatchNorm, call: string): () => void {
  const holder = holders.get(module)
  if (holder !== undefined) {
    const received = holder === call ? 'a second' : `it during ${holder}`
    throw new TypeError(
      `Expected ${call} of ${module} to have the module for itself but received ${received} (end the first before)`,
    )
  }
  holders.set(module, call)
  return () => holders.delete(module)
}
