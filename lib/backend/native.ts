import { setBufferPreparation } from '../tensor/output-memory.ts'
import { loadAddon } from './addon.ts'
import type {
  Backend,
  Extent,
  KernelActivation,
  NonFinite,
  PerChannel,
  Running,
  Statistics,
  Values,
} from './backend.ts'

/** What the values are: 0 float32, 1 float64, 2 bfloat16, 3 float16. */
type TypeCode = number
type MaybeValues = Values | null
type MaybePerChannel = PerChannel | null

type ExtentArguments = [type: TypeCode, outer: number, channels: number, inner: number]
type MomentsArguments = [mean: Float64Array, m2: Float64Array, meanLow: Float64Array | null]
/**
 * What most calls on values have none of. The activation: 0 none, 1 relu, 2 leakyRelu; `values` are the
 * residual, or what was activated.
 */
type EpilogueArguments =
  | [activation: number, negativeSlope: number, values: MaybeValues, gradResidual: MaybeValues]
  | null

type StatisticsCall = [...ExtentArguments, x: Values, ...moments: MomentsArguments]

type StatisticsArguments = [mean: Float64Array, invstd: Float64Array, meanLow: Float64Array | null]

type NormalizeCall = [
  ...ExtentArguments,
  x: Values,
  ...statistics: StatisticsArguments,
  weight: MaybePerChannel,
  bias: MaybePerChannel,
  y: Values,
  epilogue: EpilogueArguments,
]

type ForwardCall = [
  ...ExtentArguments,
  x: Values,
  eps: number,
  momentum: number,
  policy: number,
  weight: MaybePerChannel,
  bias: MaybePerChannel,
  runningMean: MaybePerChannel,
  runningVariance: MaybePerChannel,
  ...moments: MomentsArguments,
  invstd: Float64Array,
  y: Values,
  epilogue: EpilogueArguments,
]

type BackwardInputs = [...ExtentArguments, gradOutput: Values, x: Values, ...statistics: StatisticsArguments]

type GradientSumsCall = [
  ...BackwardInputs,
  gradient: Float64Array,
  product: Float64Array,
  epilogue: EpilogueArguments,
]

type InputGradientCall = [
  ...BackwardInputs,
  weight: MaybePerChannel,
  gradient: Float64Array,
  product: Float64Array,
  count: number,
  gradInput: MaybeValues,
  epilogue: EpilogueArguments,
]

type BackwardCall = [
  ...BackwardInputs,
  weight: MaybePerChannel,
  training: boolean,
  gradInput: MaybeValues,
  gradWeight: MaybePerChannel,
  gradBias: MaybePerChannel,
  epilogue: EpilogueArguments,
]

/** `undefined`: the addon failed, and could not even throw. */
type Answer<Value> = Value | undefined

/** The addon's functions. native/addon/operations unpacks their arguments in this order; test/boundary.test.ts compares. */
interface Addon {
  statistics(...call: StatisticsCall): Answer<true>
  statisticsAsync(...call: StatisticsCall): Answer<Promise<void>>
  merge(
    channels: number,
    intoCount: number,
    intoMean: Float64Array,
    intoM2: Float64Array,
    intoMeanLow: Float64Array | null,
    fromCount: number,
    fromMean: Float64Array,
    fromM2: Float64Array,
    fromMeanLow: Float64Array | null,
  ): Answer<true>
  updateRunning(
    type: TypeCode,
    channels: number,
    runningMean: PerChannel,
    runningVariance: PerChannel,
    correction: number,
    count: number,
    mean: Float64Array,
    m2: Float64Array,
    momentum: number,
  ): Answer<true>
  evalStatistics(
    type: TypeCode,
    channels: number,
    runningMean: PerChannel,
    runningVariance: PerChannel,
    eps: number,
    mean: Float64Array,
    invstd: Float64Array,
  ): Answer<true>
  normalize(...call: NormalizeCall): Answer<true>
  normalizeAsync(...call: NormalizeCall): Answer<Promise<void>>
  forward(...call: ForwardCall): Answer<boolean>
  forwardAsync(...call: ForwardCall): Answer<Promise<boolean>>
  backward(...call: BackwardCall): Answer<true>
  backwardAsync(...call: BackwardCall): Answer<Promise<void>>
  gradientSums(...call: GradientSumsCall): Answer<true>
  gradientSumsAsync(...call: GradientSumsCall): Answer<Promise<void>>
  inputGradient(...call: InputGradientCall): Answer<true>
  inputGradientAsync(...call: InputGradientCall): Answer<Promise<void>>
  /** Asks for huge pages for memory that nobody has touched yet. */
  adviseHugePages(buffer: ArrayBuffer): Answer<true>
  supportedInstructionSets(): Answer<string[]>
  instructionSet(): Answer<string>
  useInstructionSet(name: string): Answer<boolean>
  threads(): Answer<number>
  setNumThreads(count: number): Answer<true>
}

/** The SIMD kernels of native/, and what can be set about them, for the whole process. */
export interface Native extends Backend {
  readonly name: 'native'
  instructionSet(): string
  /** Best first. */
  supportedInstructionSets(): string[]
  /** @throws RangeError that lists the supported ones when `name` is not among them. */
  useInstructionSet(name: string): void
  threads(): number
  setNumThreads(count: number): void
}

const nonFiniteCodes: Record<NonFinite, number> = { propagate: 0, skip: 1, throw: 2 }
/** What is added to them where the biased variance is stored. */
const storesBiased = 4

/** The addon as a backend. Throws as `loadAddon` does. */
export function loadNative(): Native {
  const addon = loadAddon().addon as Addon
  setBufferPreparation((buffer) => answered(addon.adviseHugePages(buffer)))
  return {
    name: 'native',

    statistics: flatStatistics(addon.statistics),
    statisticsAsync: settled(flatStatistics(addon.statisticsAsync)),
    merge(into, from) {
      answered(
        addon.merge(
          into.mean.length,
          into.count,
          into.mean,
          into.m2,
          into.meanLow ?? null,
          from.count,
          from.mean,
          from.m2,
          from.meanLow ?? null,
        ),
      )
      into.count += from.count
    },
    updateRunning(running, { count, mean, m2 }, momentum) {
      const type = parameterCode(running)
      const { correction } = running
      answered(
        addon.updateRunning(
          type,
          mean.length,
          running.mean,
          running.variance,
          correction,
          count,
          mean,
          m2,
          momentum,
        ),
      )
    },
    evalStatistics(running, eps, { mean, invstd, meanLow }) {
      const type = parameterCode(running)
      answered(addon.evalStatistics(type, mean.length, running.mean, running.variance, eps, mean, invstd))
      meanLow?.fill(0)
    },
    normalize: flatNormalize(addon.normalize),
    normalizeAsync: settled(flatNormalize(addon.normalizeAsync)),
    forward: flatForward(addon.forward),
    forwardAsync: settled(flatForward(addon.forwardAsync)),
    backward: flatBackward(addon.backward),
    backwardAsync: settled(flatBackward(addon.backwardAsync)),
    gradientSums: flatGradientSums(addon.gradientSums),
    gradientSumsAsync: settled(flatGradientSums(addon.gradientSumsAsync)),
    inputGradient: flatInputGradient(addon.inputGradient),
    inputGradientAsync: settled(flatInputGradient(addon.inputGradientAsync)),

    instructionSet: () => answered(addon.instructionSet()),
    supportedInstructionSets: () => answered(addon.supportedInstructionSets()),
    useInstructionSet(name) {
      if (answered(addon.useInstructionSet(name))) return
      const supported = answered(addon.supportedInstructionSets()).join(', ')
      throw new RangeError(`Expected instruction set to be one of ${supported} but received ${name}`)
    },
    threads: () => answered(addon.threads()),
    setNumThreads(count) {
      answered(addon.setNumThreads(count))
    },
  }
}

function answered<Value>(answer: Answer<Value>): Value {
  if (answer !== undefined) return answer
  throw new Error(
    'Expected the native addon to answer but received nothing: a call of Node-API failed (is there memory left?)',
  )
}

/** Rejected with an error of ours where the addon rejects its promise, which it does with nothing. */
function settled<Call extends unknown[], Value>(start: (...call: Call) => Promise<Value>) {
  return (...call: Call): Promise<Value> => start(...call).catch(() => answered<Value>(undefined))
}

// A backend's arguments in objects become the addon's in a row: each property that C++ would have to
// look up costs some 40 ns there, and nothing here.

function flatStatistics<Result>(call: (...flat: StatisticsCall) => Answer<Result>) {
  return (...[x, extent, moments]: Parameters<Backend['statistics']>): Result => {
    const { outer, channels, inner } = extent
    moments.count = outer * inner
    const { mean, m2, meanLow } = moments
    return answered(call(typeCode(x, extent), outer, channels, inner, x, mean, m2, meanLow ?? null))
  }
}

function flatNormalize<Result>(call: (...flat: NormalizeCall) => Answer<Result>) {
  return (...[x, extent, statistics, affine, y, epilogue]: Parameters<Backend['normalize']>): Result =>
    answered(
      call(
        typeCode(x, extent),
        extent.outer,
        extent.channels,
        extent.inner,
        x,
        meanOf(statistics, statistics.invstd),
        statistics.invstd,
        statistics.meanLow ?? null,
        affine.weight,
        affine.bias,
        y,
        epilogueArguments(epilogue?.activation, epilogue?.residual, null),
      ),
    )
}

function flatForward<Result>(call: (...flat: ForwardCall) => Answer<Result>) {
  return (
    ...[x, extent, settings, affine, running, moments, invstd, y, epilogue]: Parameters<Backend['forward']>
  ): Result => {
    moments.count = extent.outer * extent.inner
    return answered(
      call(
        typeCode(x, extent),
        extent.outer,
        extent.channels,
        extent.inner,
        x,
        settings.eps,
        settings.momentum,
        nonFiniteCodes[settings.nonFinite] + (running?.correction === 0 ? storesBiased : 0),
        affine.weight,
        affine.bias,
        running ? running.mean : null,
        running ? running.variance : null,
        moments.m2 === moments.numbers?.m2 ? meanOf(moments, invstd) : moments.mean,
        moments.m2,
        moments.meanLow ?? null,
        invstd,
        y,
        epilogueArguments(epilogue?.activation, epilogue?.residual, null),
      ),
    )
  }
}

function flatBackward<Result>(call: (...flat: BackwardCall) => Answer<Result>) {
  return (
    ...[gradOutput, x, extent, statistics, weight, training, gradients, activated]: Parameters<
      Backend['backward']
    >
  ): Result =>
    answered(
      call(
        typeCode(x, extent),
        extent.outer,
        extent.channels,
        extent.inner,
        gradOutput,
        x,
        meanOf(statistics, statistics.invstd),
        statistics.invstd,
        statistics.meanLow ?? null,
        weight,
        training,
        gradients.input,
        gradients.weight,
        gradients.bias,
        epilogueArguments(activated?.activation, activated?.output, gradients.residual),
      ),
    )
}

function flatGradientSums<Result>(call: (...flat: GradientSumsCall) => Answer<Result>) {
  return (
    ...[gradOutput, x, extent, statistics, sums, activated]: Parameters<Backend['gradientSums']>
  ): Result =>
    answered(
      call(
        ...backwardInputs(gradOutput, x, extent, statistics),
        sums.gradient,
        sums.product,
        epilogueArguments(activated?.activation, activated?.output, null),
      ),
    )
}

function flatInputGradient<Result>(call: (...flat: InputGradientCall) => Answer<Result>) {
  return (
    ...[gradOutput, x, extent, statistics, weight, sums, count, gradients, activated]: Parameters<
      Backend['inputGradient']
    >
  ): Result =>
    answered(
      call(
        ...backwardInputs(gradOutput, x, extent, statistics),
        weight,
        sums.gradient,
        sums.product,
        count,
        gradients.input,
        epilogueArguments(activated?.activation, activated?.output, gradients.residual),
      ),
    )
}

function backwardInputs(
  gradOutput: Values,
  x: Values,
  extent: Extent,
  { mean, invstd, meanLow }: Statistics,
): BackwardInputs {
  const { outer, channels, inner } = extent
  return [typeCode(x, extent), outer, channels, inner, gradOutput, x, mean, invstd, meanLow ?? null]
}

/** What goes in the place of the mean: the array with all the numbers, if these are them. */
function meanOf({ mean, meanLow, numbers }: Omit<Statistics, 'invstd'>, invstd: Float64Array): Float64Array {
  const areThose = numbers?.mean === mean && numbers.meanLow === meanLow && numbers.invstd === invstd
  return areThose ? numbers.whole : mean
}

/** By the size of a value: an array of another realm is not an instance of ours. */
function typeCode({ BYTES_PER_ELEMENT }: Values, { half }: Extent): TypeCode {
  if (BYTES_PER_ELEMENT === 4) return 0
  if (BYTES_PER_ELEMENT === 8) return 1
  return half === 'bfloat16' ? 2 : 3
}

function parameterCode({ mean }: Pick<Running, 'mean'>): TypeCode {
  return mean.BYTES_PER_ELEMENT === 4 ? 0 : 1
}

const activationCodes: Record<KernelActivation['name'], number> = { relu: 1, leakyRelu: 2 }

function epilogueArguments(
  activation: KernelActivation | null | undefined,
  values: MaybeValues | undefined,
  gradResidual: MaybeValues | undefined,
): EpilogueArguments {
  if (!activation && !values && !gradResidual) return null
  const code = activation ? activationCodes[activation.name] : 0
  return [code, activation?.negativeSlope ?? 0, values ?? null, gradResidual ?? null]
}
