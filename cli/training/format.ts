/** `0.9341` as `93.41 %`. */
export function percent(share: number): string {
  return `${(share * 100).toFixed(2)} %`
}

export function milliseconds(value: number): string {
  return `${value.toFixed(1)} ms`
}

/** A number with two decimals and a true minus sign. */
export function decimal(value: number): string {
  return value.toFixed(2).replace('-', '\u2212')
}

const SUPERSCRIPTS = '⁰¹²³⁴⁵⁶⁷⁸⁹'

/** A number of any size: `0.00000192` as `1.9 × 10⁻⁶`, but `0.31` and `12.4` as they are. */
export function scientific(value: number): string {
  if (value === 0 || (Math.abs(value) >= 0.01 && Math.abs(value) < 1e4)) return String(+value.toPrecision(3))
  const [digits, exponent] = value.toExponential(1).split('e')
  return `${digits}\u00a0×\u00a0${powerOfTen(Number(exponent))}`
}

/** `-6` as `10⁻⁶`. */
export function powerOfTen(exponent: number): string {
  const digits = String(Math.abs(exponent)).replace(/\d/g, (digit) => SUPERSCRIPTS[Number(digit)])
  return `10${exponent < 0 ? '⁻' : ''}${digits}`
}
