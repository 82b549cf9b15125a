/**
 * Which memory the arrays of an operation may share. The kernels read and write element after element, so an
 * array that is written may be one that is read at the same places; any other overlap would be read after
 * it was written.
 */
import { overlap } from './in-flight.ts'

/** For each array that an operation writes, what it may be. All other arrays it must not touch. */
type Aliasing = readonly { readonly written: string; readonly mayBe: readonly string[] }[]

/** The operations, by what they are called with. */
export const aliasing = {
  batchNorm: [{ written: 'out', mayBe: ['input', 'residual'] }],
  batchNormInTraining: [
    { written: 'out', mayBe: ['input', 'residual'] },
    { written: 'runningMean', mayBe: [] },
    { written: 'runningVar', mayBe: [] },
  ],
  batchNormBackward: [
    { written: 'gradResidual', mayBe: ['gradOutput'] },
    { written: 'out', mayBe: ['gradOutput', 'input'] },
  ],
  /** Of a module. */
  forward: [{ written: 'out', mayBe: ['input', 'residual'] }],
  /** Of a module, which keeps the arrays of its forward. */
  backward: [
    { written: 'gradResidual', mayBe: ['gradOutput'] },
    { written: 'out', mayBe: ['gradOutput', 'the input of forward()'] },
  ],
  /** Of one micro-batch: backward needs the input again. */
  forwardPart: [{ written: 'out', mayBe: [] }],
  backwardPart: [{ written: 'out', mayBe: ['gradOutput', 'input'] }],
} as const satisfies Record<string, Aliasing>

type Arrays = Readonly<Record<string, ArrayBufferView | null | undefined>>

const none: Arrays = {}

/**
 * Checks the arrays of a call, by name, against the rules of its operation.
 *
 * @param others - more of them; so those of a module need no copy
 * @throws RangeError that names the two that overlap
 */
export function assertAliasing(rules: Aliasing, arrays: Arrays, others = none): void {
  for (const { written, mayBe } of rules) {
    const array = arrays[written]
    if (!array) continue
    assertApart(written, array, arrays, mayBe)
    assertApart(written, array, others, mayBe)
  }
}

function assertApart(
  written: string,
  array: ArrayBufferView,
  others: Arrays,
  mayBe: readonly string[],
): void {
  const { buffer } = array
  for (const name in others) {
    // A program may have given every object a property.
    if (!Object.hasOwn(others, name)) continue
    const other = others[name]
    if (!other || other.buffer !== buffer || name === written || !overlap(array, other)) continue
    const isSame = other.byteLength === array.byteLength && sameMemory(array, other)
    if (!(isSame && mayBe.includes(name))) throw overlapError(written, array, name, other)
  }
}

/** Whether two arrays of the same length are the same memory. */
export function sameMemory(a: ArrayBufferView, b: ArrayBufferView): boolean {
  return a === b || (a.byteOffset === b.byteOffset && a.buffer === b.buffer)
}

function overlapError(
  writtenName: string,
  written: ArrayBufferView,
  otherName: string,
  other: ArrayBufferView,
): RangeError {
  const range = ({ byteOffset, byteLength }: ArrayBufferView) => `${byteOffset} to ${byteOffset + byteLength}`
  return new RangeError(
    `Expected ${writtenName} not to overlap ${otherName} but received bytes ${range(written)} and ` +
      `${range(other)} of one buffer (give ${writtenName} memory of its own)`,
  )
}
