/** What calls that send batches through a network have in common: their arguments, and that each module hears its inputs. */
import { invalidType } from '../checks/errors.ts'
import type { FloatTensorLike } from '../checks/tensors.ts'
import { type AnyBatchNorm, assertBatchNorm, insteadOfDomains, isBatchNorm } from '../modules/batch-norm.ts'

/** Batches one after another, at once or as they come. */
export type Batches<Batch> = Iterable<Batch> | AsyncIterable<Batch>

/** The arguments of a call for one module, or for those of a network. */
export interface NetworkCall<Batch, Options> {
  /** Each once, at least one. */
  readonly modules: readonly AnyBatchNorm[]
  readonly batches: Batches<Batch>
  /** `null`: the batches are inputs of the only module. */
  readonly run: ((batch: Batch) => unknown) | null
  readonly options: Options | Record<string, never>
}

/** @throws TypeError that names the argument that does not fit */
export function networkCall<Batch, Options>(
  modules: AnyBatchNorm | readonly AnyBatchNorm[],
  batches: Batches<Batch>,
  runOrOptions: ((batch: Batch) => unknown) | Options | undefined,
  optionsAfterRun: Options | undefined,
): NetworkCall<Batch, Options> {
  const isAlone = isBatchNorm(modules)
  const isRun = typeof runOrOptions === 'function' || !isAlone
  const [run, options = {}] = isRun ? [runOrOptions, optionsAfterRun] : [null, runOrOptions]
  const each = modulesOf(modules)
  if (!isIterable(batches)) throw invalidType('batches', 'an iterable of batches', batches)
  if (isRun) assertRun(run)
  return { modules: each, batches, run: run as NetworkCall<Batch, Options>['run'], options }
}

/** What stands for the modules of a network, in an error. */
export const wantedModules = 'a batch norm or an array of at least one'

/** @throws TypeError for what is not a function */
export function assertRun(run: unknown): void {
  if (typeof run !== 'function') throw invalidType('run', 'a function that takes a batch', run)
}

/**
 * Each module once; an array that is long and empty ends at its first hole.
 *
 * @throws TypeError for what is neither a batch norm nor an array of some
 */
export function modulesOf(modules: AnyBatchNorm | readonly AnyBatchNorm[], name = 'modules'): AnyBatchNorm[] {
  if (isBatchNorm(modules)) return [modules]
  if (!(Array.isArray(modules) && modules.length > 0)) {
    throw invalidType(name, wantedModules, modules, insteadOfDomains(modules))
  }
  const found = new Set<AnyBatchNorm>()
  for (const module of modules) {
    assertBatchNorm(`each of ${name}`, module)
    found.add(module)
  }
  return [...found]
}

/** @throws TypeError for a module without running statistics, and for one that does not know its channels */
export function assertTracking(module: AnyBatchNorm, isWithout: string): void {
  if (module.runningMean !== null) return
  throw new TypeError(
    `Expected ${module} to have running statistics but received trackRunningStats: false (${isWithout})`,
  )
}

/** What takes the inputs of a module. */
export interface Recorder {
  record(input: FloatTensorLike): void
  /** From now on, what the module is given is recorded. */
  start(): void
  stop(): void
}

/** Sends all batches through the network, or to the only recorder. */
export async function recordAll<Batch>(
  recorders: readonly Recorder[],
  { batches, run }: Pick<NetworkCall<Batch, unknown>, 'batches' | 'run'>,
): Promise<void> {
  if (run === null) {
    for await (const batch of batches) recorders[0].record(batch as FloatTensorLike)
    return
  }
  try {
    for (const recorder of recorders) recorder.start()
    for await (const batch of batches) await run(batch)
  } finally {
    for (const recorder of recorders) recorder.stop()
  }
}

/** For a module that no value came to. */
export function noValuesError(module: AnyBatchNorm): RangeError {
  return new RangeError(
    `Expected batches with values for ${module} but received none (is the iterable used up, or does run not call its forward?)`,
  )
}

/** Whether something gives batches: not the numbers of an array. */
export function isIterable(value: unknown): boolean {
  return (
    typeof value === 'object' &&
    value !== null &&
    !ArrayBuffer.isView(value) &&
    (Symbol.iterator in value || Symbol.asyncIterator in value)
  )
}
