/** Three significant digits and a true minus sign: `0.982`, `−1.2e-7`. */
export function short(value: number): string {
  const rounded = Number(value.toPrecision(3))
  const isTiny = rounded !== 0 && Math.abs(rounded) < 1e-3
  return (isTiny ? rounded.toExponential() : String(rounded)).replace(/^-/, '\u2212')
}
