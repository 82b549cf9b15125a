import process from 'node:process'
import { fraction } from '../checks/scalars.ts'

let isWarned = false

/**
 * A momentum that is valid: a number from 0 to 1, or `null`. One above a half forgets all but the last batches,
 * which hardly anybody wants, and in Keras is the usual: a warning says so once.
 */
export function momentumOf(momentum: number | null): number | null {
  if (momentum === null) return null
  fraction('momentum', momentum, ', or null,')
  if (momentum > 0.5 && momentum < 1 && !isWarned) {
    isWarned = true
    process.emitWarning(
      `momentum: ${momentum} is the weight of the new batch, as in PyTorch, so that the running statistics forget all ` +
        `but the last batches. Keras' momentum: ${momentum} is 1 - ${momentum} here.`,
      'BatchNormWarning',
    )
  }
  return momentum
}
