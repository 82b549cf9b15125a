import { largestDifference } from '../../fold/probe.ts'
import type { Float64Values } from '../../fold/values.ts'
import { type FloatType, floatTypes } from '../../tensor/data-type.ts'
import { type OnnxFeeds, Running } from './feeds.ts'
import type { OnnxRuntime } from './runtime.ts'
import { fromOrt } from './tensors.ts'

/** `max |after - before|` over the outputs of floating point of two models; NaN where one of them is. */
export async function largestOutputError(
  before: Uint8Array,
  after: Uint8Array,
  ort: OnnxRuntime,
  probe: OnnxFeeds,
): Promise<number> {
  const [expected, actual] = [await outputsOf(before, ort, probe), await outputsOf(after, ort, probe)]
  const errors = [...expected].map(([name, values]) =>
    largestDifference(actual.get(name) as Float64Values, values),
  )
  return Math.max(0, ...errors)
}

async function outputsOf(
  model: Uint8Array,
  ort: OnnxRuntime,
  probe: OnnxFeeds,
): Promise<Map<string, Float64Values>> {
  const values = new Map<string, Float64Values>()
  const running = await Running.start(model, ort, { graphOptimizationLevel: 'disabled' })
  await running.through([probe], (outputs) => {
    for (const [name, output] of Object.entries(outputs)) {
      if (!floatTypes.includes(output.type as FloatType)) continue
      const numbers = fromOrt(output).numbers()
      values.set(name, { data: Float64Array.from(numbers as Float32Array), shape: output.dims })
    }
  })
  return values
}
