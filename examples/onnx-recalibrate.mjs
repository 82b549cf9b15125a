// A trained model meets sensors that read differently, and its accuracy falls. Its batch norms get the statistics of the
// new data, without labels and without a training framework, and are then folded away.
//
//     npm install onnxruntime-node
//     node onnx-recalibrate.mjs model/model.onnx recalibrated.onnx
import { readFileSync, writeFileSync } from 'node:fs'
import { tensor } from 'batchnorm'
import { foldOnnx, recalibrateOnnx, toOrt } from 'batchnorm/onnx'
import * as ort from 'onnxruntime-node'

const [path = new URL('model/model.onnx', import.meta.url), output] = process.argv.slice(2)
const original = readFileSync(path)

// The data of model/make.py, by other sensors: twice as sensitive, and from 1 on.
const samples = 600
let seed = 1
const random = () => {
  seed = (seed * 48271) % 2147483647
  return seed / 2147483647
}
const normal = () => Math.sqrt(-2 * Math.log(random())) * Math.cos(2 * Math.PI * random())
const labels = Array.from({ length: samples }, (_, n) => n % 3)
const readings = labels.flatMap((label) =>
  [0, 1, 2, 3].map((i) => 0.5 + 0.3 * Number(i === label) + 0.1 * normal()),
)
const x = tensor(
  Float32Array.from(readings, (value) => 1 + 2 * value),
  [samples, 4],
)

/** @param {Uint8Array} model */
async function accuracyOf(model) {
  const session = await ort.InferenceSession.create(model)
  const { logits } = await session.run({ x: toOrt(x, ort) })
  const rows = /** @type {Float32Array} */ (logits.data)
  const right = labels.filter((label, n) => {
    const row = rows.subarray(3 * n, 3 * n + 3)
    return row[label] === Math.max(...row)
  })
  await session.release()
  return `${((100 * right.length) / samples).toFixed(1)} %`
}

console.log('accuracy as it was trained:', await accuracyOf(original))
const { model } = await recalibrateOnnx(original, ort, [x])
console.log('accuracy recalibrated:', await accuracyOf(model))
const { model: smaller, folded, largestError } = await foldOnnx(model, { ort, probe: x })
console.log('accuracy folded:', await accuracyOf(smaller))
console.log(
  `folded ${folded.map(({ name, into }) => `${name} into ${into}`).join(', ')}; largest error ${largestError}`,
)
if (output) writeFileSync(output, smaller)
