/** What a convention is: one framework's names and habits, in terms of ours. */

import type { FusedActivation } from '../../functional/fused-activation.ts'
import type { StoredVariance } from '../../modules/stored-variance.ts'
import type { ParameterType } from '../../tensor/data-type.ts'
import type { Layout } from '../../tensor/shape.ts'
import type { Reading } from './reading.ts'
import type { Vector } from './values.ts'

/** A batch norm in PyTorch's terms, whichever framework it comes from. */
export interface Meaning {
  /** gamma, beta: `null` for a batch norm that has none. */
  readonly weight: Vector | null
  readonly bias: Vector | null
  /** `null`, both of them, for a batch norm without running statistics. */
  readonly runningMean: Vector | null
  readonly runningVar: Vector | null
  readonly eps: number
  /**
   * The weight of the new statistic; `null` averages over all batches. `undefined` where a framework
   * leaves it to the caller.
   */
  readonly momentum?: number | null
  readonly layout: Layout
  /** Whether it is in training mode. */
  readonly training: boolean
  /** What a framework has beside the mode, as the options of a module; `undefined` where it has not. */
  readonly useBatchStats?: boolean | null
  readonly updateStats?: boolean | null
  readonly trainAffine?: boolean
  /** The kind of its running variance, where it is not that of the convention. */
  readonly variance?: StoredVariance
  /** What follows in the same pass. */
  readonly activation?: FusedActivation | null
}

/** What only our side knows of a module. */
export interface Source extends Required<Omit<Meaning, 'variance'>> {
  /** Whether the batch's statistics normalize, whatever says so: the mode, `useBatchStats` or `freeze`. */
  readonly training: boolean
  /** Whether a forward moves the running statistics. */
  readonly moves: boolean
  readonly storedVariance: StoredVariance
  readonly numFeatures: number
  readonly dtype: ParameterType
  /** How many axes the largest input has that the module takes: 3, 4 or 5. */
  readonly rank: number
}

/** One framework's way to say a batch norm. */
export interface Convention<Parameters, Written> {
  /** Every parameter there is. */
  readonly names: readonly (keyof Parameters & string)[]
  /** The parameters of what a framework wraps them in. */
  readonly unwrapped?: (parameters: Parameters) => Parameters
  /** Whether the framework says of this module that it is frozen: then nothing about that is lost. */
  readonly saysFrozen?: (source: Source) => boolean
  /** The framework's name of the running variance, and what it moves toward. */
  readonly runningVariance: { readonly name: string; readonly kind: StoredVariance }
  /** The activation that the framework can fuse with a batch norm; another one is an error. */
  readonly fusedActivation?: FusedActivation
  /** @throws TypeError or RangeError for what is missing, wrong, or would change the result */
  readonly from: (parameters: Parameters, reading: Reading) => Meaning
  /** Adds a note for what is lost; throws where the result would change. */
  readonly to: (source: Source, notes: string[]) => Written
}
