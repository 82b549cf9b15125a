import type {
  Activated,
  Affine,
  ChannelMoments,
  Epilogue,
  Extent,
  Gradients,
  KernelActivation,
  NonFinite,
  Statistics,
  Values,
} from '../backend/backend.ts'
import { channelNumbers } from '../backend/moments.ts'
import type { FloatType, ParameterType } from '../tensor/data-type.ts'
import type { Shape } from '../tensor/shape.ts'
import { Fingerprint } from './fingerprint.ts'
import type { Steps } from './methods/steps.ts'
import type { ReusedMemory } from './reused-memory.ts'
import type { RunningStats } from './running-stats.ts'

const nothing = new Float32Array(0)

/** The settings of a forward, which the module fills in for each. */
interface PassSettings {
  eps: number
  /** The weight of the batch in the running statistics. */
  momentum: number
  nonFinite: NonFinite
}

/**
 * One `forward`: what it works on, and what it leaves for `backward`. A module has two and fills the
 * one that is not in use, so that a `forward` that throws leaves the last good one as it was.
 */
export class Pass {
  /** Of the batch; mean and its low part are also those of `statistics`. */
  readonly moments: ChannelMoments
  readonly statistics: Statistics
  readonly settings: PassSettings = { eps: 0, momentum: 0, nonFinite: 'propagate' }
  /** The type of the parameters and running statistics. */
  readonly dtype: ParameterType
  readonly affine: Affine
  /** `null` without running statistics. */
  readonly running: RunningStats | null
  /** What comes after the normalization; `null`: nothing. */
  readonly activation: KernelActivation | null
  /** How it is done. */
  method: Method
  /** The caller's array, not a copy. */
  input: Values = nothing
  output: Values = nothing
  /** What input and output hold. */
  type: FloatType = 'float32'
  /** What is added before the activation; the caller's array, or `null`. */
  residual: Values | null = null
  shape: Shape = []
  extent: Extent = { outer: 0, channels: 0, inner: 0 }
  /** Whether the statistics are the batch's own, so that the gradient flows through them. */
  fromBatch = false
  /** Whether the running statistics move toward the batch's. */
  updatesRunning = false
  /** Whether no value counts, so that the running statistics normalize all of them. */
  nothingCounts = false
  /** As the module has it; `null` averages over all batches. */
  momentum: number | null = null
  /** Whether there was a residual. */
  hasResidual = false
  /** Whether no other forward of the module was under way meanwhile, so that it is known which was the last. */
  isAlone = true
  /** Whether nobody has the array of the output yet. */
  outputIsNew = false
  /** Whether a result was written over `input`. */
  inputIsGone = false
  /** Of `input` and, with an activation, of `output`, which `backward` reads. */
  readonly inputPrint = new Fingerprint()
  readonly outputPrint = new Fingerprint()
  /** Of `input`, where it is a result of a module with `reuse: true`; see `versionOf`. */
  inputVersion = 0
  /** Where the output goes with `reuse: true`; otherwise `null`. */
  reused: ReusedMemory | null = null

  constructor(
    channels: number,
    dtype: ParameterType,
    affine: Affine,
    running: RunningStats | null,
    activation: KernelActivation | null,
    method: Method,
  ) {
    const numbers = channelNumbers(channels)
    const { mean, m2, meanLow, invstd } = numbers
    this.moments = { count: 0, mean, m2, meanLow, numbers }
    this.statistics = { mean, invstd, meanLow, numbers }
    this.dtype = dtype
    this.affine = affine
    this.running = running
    this.activation = activation
    this.method = method
  }

  /** What follows the normalization in the same pass; `undefined`: nothing. */
  get epilogue(): Epilogue | undefined {
    const { activation, residual } = this
    return activation === null && residual === null ? undefined : { activation, residual }
  }

  /** The activation and its output, for `backward`; `undefined`: there is none. */
  get activated(): Activated | undefined {
    const { activation, output } = this
    return activation === null ? undefined : { activation, output }
  }

  /** A pass over a part of what this one is over, with the same settings. */
  part(extent: Extent): Pass {
    const part = new Pass(
      extent.channels,
      this.dtype,
      this.affine,
      this.running,
      this.activation,
      this.method,
    )
    Object.assign(part.settings, this.settings)
    part.momentum = this.momentum
    part.type = this.type
    part.shape = this.shape
    part.extent = extent
    return part
  }

  /** Remembers what `backward` reads, and lets go of the arrays that it does not. */
  end(): void {
    this.inputPrint.take(this.input)
    if (this.activation === null) this.output = nothing
    else this.outputPrint.take(this.output)
    this.residual = null
  }

  /** What a method of several steps needs, which may fail after it has moved the running statistics: takes that back. */
  undo(): () => void {
    return (this.updatesRunning && this.running?.saved()) || (() => {})
  }

  /** Lets go of the caller's arrays. */
  release(): void {
    this.input = nothing
    this.output = nothing
    this.residual = null
  }
}

/**
 * How a forward normalizes, and how backward follows it. There is one for each option that needs its
 * own; `plain` is that of all others. A method that has a state belongs to one pass.
 */
export interface Method {
  /**
   * Normalizes `pass.input` into `pass.output` and leaves in `pass` what backward needs; moves and
   * counts the running statistics if `pass.updatesRunning`.
   *
   * @throws RangeError for what `nonFinite: 'throw'` names; TypeError for what cannot be repeated. Nothing
   * has changed then.
   */
  forward(pass: Pass): Steps

  /** Writes the gradients of `forward`. */
  backward(pass: Pass, gradOutput: Values, gradients: Gradients): Steps

  /**
   * Makes `forward` do again what `previous` did, the method of the last forward if there was one: the
   * running statistics do not move, and where they took part, they do so as they were then.
   */
  repeat(pass: Pass, previous: Method | null): void
}
