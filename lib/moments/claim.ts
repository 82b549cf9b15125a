import { shared } from '../checks/copies.ts'
import type { AnyBatchNorm } from '../modules/batch-norm.ts'

/** What has each module for itself. */
const holders = shared('holders', () => new WeakMap<AnyBatchNorm, string>())

/**
 * Gives a call a module for itself, where two that switch its modes would undo each other's work.
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
