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
