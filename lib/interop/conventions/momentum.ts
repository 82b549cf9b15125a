/**
 * The other convention's momentum: `1 - momentum`, since one weighs the old statistic and the other
 * the new one. Where both are short decimals it is the short one: 0.1 for 0.9, not
 * 0.09999999999999998, which is what float64 makes of `1 - 0.9`; so that there and back is the same
 * number.
 */
export function complement(momentum: number): number {
  const decimal = shortComplement(momentum)
  return shortComplement(decimal) === momentum ? decimal : 1 - momentum
}

/** 1 - x to 15 decimal places, which all float64 numbers from 0 to 1 can tell apart. */
function shortComplement(x: number): number {
  return Number((1 - x).toFixed(15))
}

/** `complement`, with a note for a momentum that has more digits than its complement can hold. */
export function complementNoting(name: string, momentum: number, notes: string[]): number {
  const other = complement(momentum)
  if (complement(other) !== momentum) {
    notes.push(
      `${name}: ${momentum} has more digits than 1 - ${momentum} can hold; on the way back it is rounded.`,
    )
  }
  return other
}
