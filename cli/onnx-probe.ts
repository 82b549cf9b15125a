/** What a model is run on to measure what folding changes. */
import { uniformInt } from 'pure-rand/distribution/uniformInt'
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus'
import type { OnnxInput } from '../lib/interop/onnx/index.ts'
import { dataTypes } from '../lib/interop/onnx/messages.ts'
import { modelOf } from '../lib/interop/onnx/nodes.ts'
import { floatTypes } from '../lib/tensor/data-type.ts'
import { product } from '../lib/tensor/shape.ts'
import { tensor } from '../lib/tensor/tensor.ts'

const samples = 2
const mostValues = 2 ** 26
const steps = 2 ** 24

/** Values of mean 0 and variance 1 for each input; `null` where the file does not tell their types and sizes. */
export function probeFor(model: Uint8Array): Record<string, OnnxInput> | null {
  const { input, initializer } = modelOf(model).graph
  const stored = new Set(initializer.map(({ name }) => name))
  const random = xoroshiro128plus(1)
  const feeds: Record<string, OnnxInput> = {}
  for (const { name, type } of input.filter((each) => !stored.has(each.name))) {
    const { elemType, shape } = type?.tensorType ?? {}
    const dtype = floatTypes.find((each) => dataTypes[each] === elemType)
    const sizes = shape?.dim.map(({ dimValue }, axis) => Number(dimValue) || (axis === 0 ? samples : 0)) ?? [
      0,
    ]
    if (dtype === undefined || !isPossible(product(sizes))) return null
    const uniform = () => (uniformInt(random, -steps, steps) / steps) * Math.sqrt(3)
    feeds[name] = tensor(Float32Array.from({ length: product(sizes) }, uniform), sizes, { dtype })
  }
  return feeds
}

function isPossible(count: number): boolean {
  return count >= 1 && count <= mostValues
}
