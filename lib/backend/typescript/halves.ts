/**
 * bfloat16 and float16 values: they are widened to float32, which is exact, computed with, and what
 * comes out is rounded to nearest even, once. Float32 and float64 values pass through as they are.
 */
import { type HalfType, narrow, widened } from '../../tensor/half.ts'
import type { Activated, Epilogue, Extent, Values } from '../backend.ts'
import type { Floats } from './order.ts'

/** Values as numbers to compute with. */
export function floatsOf(values: Values, { half }: Extent): Floats {
  return isHalves(values) ? widened(values, half as HalfType) : values
}

/** Where the numbers are computed that `store` then stores in `values`. */
export function roomFor(values: Values): Floats {
  return isHalves(values) ? new Float32Array(values.length) : values
}

export function store(floats: Floats | null, values: Values | null, { half }: Extent): void {
  if (values !== null && isHalves(values)) narrow(floats as Float32Array, half as HalfType, values)
}

export function epilogueOf(epilogue: Epilogue | undefined, extent: Extent): Epilogue<Floats> | undefined {
  if (epilogue === undefined) return undefined
  const { activation, residual } = epilogue
  return { activation, residual: residual && floatsOf(residual, extent) }
}

export function activatedOf(activated: Activated | undefined, extent: Extent): Activated<Floats> | undefined {
  return activated && { activation: activated.activation, output: floatsOf(activated.output, extent) }
}

function isHalves(values: Values): values is Uint16Array {
  return values.BYTES_PER_ELEMENT === Uint16Array.BYTES_PER_ELEMENT
}
