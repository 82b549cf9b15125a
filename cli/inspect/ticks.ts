import type { ScaleOptions } from '@observablehq/plot'
import type { LogHistogram } from './histogram.ts'
import { short } from './numbers.ts'

/** At most so many ticks beside the zeros'. */
const most = 7

/** Round values on a logarithmic axis. The zeros have a tick of their own. */
export function ticksOf({ positive, bins, zero }: LogHistogram): ScaleOptions {
  const hasPositive = bins.some(({ middle }) => middle > positive[0])
  const ticks = hasPositive ? roundValues(...positive).map(Math.log10) : []
  return {
    ticks: zero === null ? ticks : [zero, ...ticks],
    tickFormat: (place: number) => (place === zero ? '0' : short(10 ** place)),
  }
}

/**
 * Round values from 10 ** from to 10 ** to: over two decades and more powers of ten, thinned out; over one 1, 2 and
 * 5 times those; within one the multiples of a step that is 1, 2 or 5 times one.
 */
export function roundValues(from: number, to: number): number[] {
  const exponents = Array.from(
    { length: Math.floor(to) - Math.floor(from) + 1 },
    (_, at) => Math.floor(from) + at,
  )
  const inside = (value: number) => Math.log10(value) >= from && Math.log10(value) <= to
  if (to - from >= 2) {
    const step = Math.ceil(exponents.length / most)
    return exponents
      .filter((exponent) => exponent % step === 0)
      .map((exponent) => Number(`1e${exponent}`))
      .filter(inside)
  }
  if (to - from >= 1) {
    return exponents
      .flatMap((exponent) => [1, 2, 5].map((digit) => Number(`${digit}e${exponent}`)))
      .filter(inside)
  }
  const greatest = Math.min(10 ** to, Number.MAX_VALUE)
  const exponent = Math.floor(Math.log10(greatest - 10 ** from)) - 1
  // Of the smallest numbers there are, a part may be 0.
  const steps = [1, 2, 5, 10, 20, 50]
    .map((digits) => Number(`${digits}e${exponent}`))
    .filter((step) => step > 0)
  const multiplesOf = (step: number) =>
    Array.from({ length: Math.floor(greatest / step) }, (_, index) =>
      Number(((index + 1) * step).toPrecision(12)),
    )
  return steps.map((step) => multiplesOf(step).filter(inside)).find(({ length }) => length <= most) ?? []
}
