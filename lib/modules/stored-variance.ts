import type { Running } from '../backend/backend.ts'

/** Which variance of a batch moves `runningVar`; see `BatchNormOptions`. */
export type StoredVariance = 'unbiased' | 'biased'

/** All of them. */
export const storedVariances: readonly StoredVariance[] = ['unbiased', 'biased']

/** What is taken off n under M2; see `Running`. */
export function correctionOf(stored: StoredVariance): Running['correction'] {
  return stored === 'biased' ? 0 : 1
}
