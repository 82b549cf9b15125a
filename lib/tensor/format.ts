/** Numbers and tensors in print, as PyTorch prints them. */
import type { DataType } from './data-type.ts'
import { product } from './shape.ts'

const edgeItems = 3
const elidedAbove = 1000
const lineWidth = 80
const opening = 'tensor('

/** A number as Python writes it: `1e-05`, where JavaScript has `0.00001`. */
export function pythonNumber(value: number): string {
  if (value !== 0 && Math.abs(value) < 1e-4) return twoDigitExponent(value.toExponential())
  return String(value)
}

function twoDigitExponent(text: string): string {
  return text.replace(/e([+-])(\d)$/, 'e$10$2')
}

/** `tensor([[ 1.0000, -0.5000], ...])`: aligned, and elided in the middle when it is large. */
export function formatTensor(
  at: (index: number) => number | bigint,
  shape: readonly number[],
  dtype: DataType,
): string {
  const suffix = dtype === 'float32' ? '' : `, dtype=${dtype}`
  const length = product(shape)
  if (length === 0) return `${opening}[], shape=[${shape.join(', ')}]${suffix})`
  const limit = length > elidedAbove ? edgeItems : Number.POSITIVE_INFINITY
  const element = elementFormat(shownIndices(shape, limit).map(at))
  const body = (axis: number, offset: number): string => {
    if (axis === shape.length) return element(at(offset))
    const ellipsis = axis === shape.length - 1 ? ' ...' : '...'
    const stride = product(shape.slice(axis + 1))
    const items = visible(shape[axis], limit).map((position) =>
      position === null ? ellipsis : body(axis + 1, offset + position * stride),
    )
    return `[${join(items, opening.length + axis + 1, shape.length - axis)}]`
  }
  return `${opening}${body(0, 0)}${suffix})`
}

/** The last axis runs along the line and wraps; the others have a line each, and empty lines between blocks. */
function join(items: readonly string[], indent: number, axesLeft: number): string {
  const margin = ' '.repeat(indent)
  if (axesLeft > 1) return items.join(`,${'\n'.repeat(axesLeft - 1)}${margin}`)
  const width = Math.max(...items.map((item) => item.length)) + ', '.length
  const perLine = Math.max(1, Math.floor((lineWidth - indent) / width))
  const lines: string[] = []
  for (let first = 0; first < items.length; first += perLine) {
    lines.push(items.slice(first, first + perLine).join(', '))
  }
  return lines.join(`,\n${margin}`)
}

/** The positions along an axis that are shown; `null` stands for those left out. */
function visible(size: number, limit: number): (number | null)[] {
  if (size <= 2 * limit) return range(0, size)
  return [...range(0, limit), null, ...range(size - limit, size)]
}

function range(first: number, end: number): number[] {
  return Array.from({ length: end - first }, (_, index) => first + index)
}

function shownIndices(shape: readonly number[], limit: number): number[] {
  let indices = [0]
  for (const size of shape) {
    const positions = visible(size, limit).filter((position) => position !== null)
    indices = indices.flatMap((index) => positions.map((position) => index * size + position))
  }
  return indices
}

/** One format for all the elements that are shown: integers, 4 decimals, or an exponent when they differ too much. */
function elementFormat(values: (number | bigint)[]): (value: number | bigint) => string {
  const text = formatFor(values)
  const width = Math.max(...values.map((value) => text(value).length))
  return (value) => text(value).padStart(width)
}

function formatFor(values: (number | bigint)[]): (value: number | bigint) => string {
  const magnitudes = values
    .map((value) => Math.abs(Number(value)))
    .filter((value) => Number.isFinite(value) && value !== 0)
  const largest = Math.max(...magnitudes)
  const smallest = Math.min(...magnitudes)
  const integers = magnitudes.every(Number.isInteger)
  const exponent = largest / smallest > 1000 || largest > 1e8 || (!integers && smallest < 1e-4)
  return (value) => {
    if (typeof value === 'bigint') return String(value)
    if (Number.isNaN(value)) return 'nan'
    const sign = value < 0 || Object.is(value, -0) ? '-' : ''
    const magnitude = Math.abs(value)
    if (magnitude === Number.POSITIVE_INFINITY) return `${sign}inf`
    if (exponent) return sign + twoDigitExponent(magnitude.toExponential(4))
    return sign + (integers ? `${magnitude}.` : magnitude.toFixed(4))
  }
}
