import type { Norm } from '../../lib/analysis/gap/norm.ts'
import { InputRecorder } from '../../lib/analysis/gap/recorder.ts'
import { type GapReport, gapReport } from '../../lib/analysis/gap/report.ts'
import { keyBelow } from '../../lib/checkpoints/batch-norms.ts'
import { assertFloat } from '../../lib/checkpoints/safetensors/element.ts'
import { loadSafetensors, type SafetensorsFile } from '../../lib/checkpoints/safetensors/file.ts'
import { invalidShape, invalidType } from '../../lib/checks/errors.ts'
import type { FloatTensorLike } from '../../lib/checks/tensors.ts'
import { BatchNorm1d } from '../../lib/modules/batch-norm-1d.ts'
import { type Inspected, nameOf } from './listing.ts'

/** What a file does not tell of its batch norms. */
interface Assumed {
  readonly eps: number
  readonly momentum: number | null
}

/**
 * Each batch norm with its gap on the inputs in a file: `<prefix>.input`, or `<prefix>.input.0` and so on for several
 * batches; `input` for that of a module's own file.
 *
 * @throws TypeError for a tensor that is no input of a batch norm here; RangeError for one of other channels
 */
export function withGaps(found: readonly Inspected[], path: string, assumed: Assumed): Inspected[] {
  using file = loadSafetensors(path)
  const keys = found.map((each) => inputKeys(file, each))
  assertAllMeant(file, keys.flat(), found)
  return found.map((each, index) => {
    const isComparable = each.misfits.length === 0 && keys[index].length > 0
    return { ...each, gap: isComparable ? gapOf(file, keys[index], each, assumed) : null }
  })
}

/** Those of one batch norm, in the order of their numbers. */
function inputKeys({ tensors }: SafetensorsFile, { prefix }: Inspected): string[] {
  const key = keyBelow(prefix, 'input')
  const isNumbered = (each: string) => each.startsWith(`${key}.`) && /^\d+$/.test(each.slice(key.length + 1))
  const numbered = [...tensors.keys()].filter(isNumbered)
  const numberOf = (each: string) => Number(each.slice(key.length + 1))
  return [
    ...(tensors.has(key) ? [key] : []),
    ...numbered.sort((one, other) => numberOf(one) - numberOf(other)),
  ]
}

function assertAllMeant(file: SafetensorsFile, meant: readonly string[], found: readonly Inspected[]): void {
  const used = new Set(meant)
  const unused = [...file.tensors.keys()].filter((key) => !used.has(key))
  if (unused.length === 0 && meant.length > 0) return
  const wanted = found.slice(0, 3).map(({ prefix }) => keyBelow(prefix, 'input'))
  const more = found.length > wanted.length ? ', ...' : ''
  throw invalidType(
    `each tensor of ${file.name}`,
    'the input of a batch norm',
    unused,
    found.length === 0
      ? 'there is no batch norm'
      : `such are ${wanted.join(', ')}${more}; further batches ${wanted[0]}.1, ...`,
  )
}

function gapOf(file: SafetensorsFile, keys: readonly string[], each: Inspected, assumed: Assumed): GapReport {
  const recorder = new InputRecorder(new BatchNorm1d(each.numFeatures))
  for (const key of keys) {
    const name = `${key} of ${file.name}`
    const { type, shape } = file.tensors.get(key) as { type: string; shape: readonly number[] }
    assertFloat(name, type)
    if (shape.length < 2 || shape[1] !== each.numFeatures) {
      throw invalidShape(name, `[N, ${each.numFeatures}, ...]`, shape, `as ${nameOf(each)} has channels`)
    }
    recorder.record(file.get(key) as FloatTensorLike)
  }
  return gapReport(normOf(each, assumed), recorder)
}

function normOf(each: Inspected, { eps, momentum }: Assumed): Norm {
  const { state, numFeatures, numBatchesTracked, type } = each
  const numbers = (values: ArrayLike<number | bigint> | undefined) =>
    values === undefined ? null : Array.from(values, Number)
  return {
    name: nameOf(each),
    channels: numFeatures,
    running: { mean: numbers(state.running_mean) ?? [], variance: numbers(state.running_var) ?? [] },
    weight: numbers(state.weight),
    bias: numbers(state.bias),
    eps,
    momentum,
    updates: numBatchesTracked,
    nonFinite: 'propagate',
    storedVariance: 'unbiased',
    dtype: type === 'F64' ? 'float64' : 'float32',
    limits: null,
    virtualBatchSize: null,
    singleValue: 'throw',
    frozen: false,
    useBatchStats: null,
    updateStats: null,
  }
}
