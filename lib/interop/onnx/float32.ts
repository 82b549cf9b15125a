/** Attributes are float32, options float64. */
import { invalidValue } from '../../checks/errors.ts'

/** The number of fewest decimal digits that float32 rounds to `value`: 0.9, not 0.8999999761581421. */
export function shortest(value: number): number {
  if (!Number.isFinite(value)) return value
  for (let digits = 1; digits < 9; digits++) {
    const short = Number(value.toPrecision(digits))
    if (Math.fround(short) === value) return short
  }
  return value
}

/** A number that an attribute can hold: not one that float32 would make 0 or infinite. */
export function attributeFloat(name: string, value: number): number {
  const rounded = Math.fround(value)
  if (Number.isFinite(rounded) && (rounded !== 0 || value === 0)) return rounded
  throw invalidValue(name, 'a number that float32 can hold', value)
}
