// Two linear layers with a batch norm and a ReLU in between, trained by plain SGD, without a framework. The inputs lie
// far from 0, as raw data do; the batch norm takes that away. The matrices are written plainly, not fast.
import { BatchNorm1d, tensor } from 'batchnorm'

const [samples, inputs, hidden, rate] = [256, 2, 32, 0.5]

// Points within a ring, and around it: 1 and 0.
let seed = 1
const random = () => {
  seed = (seed * 48271) % 2147483647
  return seed / 2147483647
}
const points = Array.from({ length: samples }, () => [random() * 2 - 1, random() * 2 - 1])
const labels = points.map(([a, b]) => Number(a * a + b * b < 0.6))
const x = Float32Array.from(points.flatMap(([a, b]) => [10 * a + 100, 10 * b - 50]))

/** @param {number} from @param {number} to */
function linear(from, to) {
  const weight = Float32Array.from({ length: to * from }, () => (random() * 2 - 1) / Math.sqrt(from))
  const bias = new Float32Array(to)
  return {
    /** y[n, o] = sum(x[n, i] * weight[o, i]) + bias[o] @param {Float32Array} x */
    forward(x) {
      const y = new Float32Array((x.length / from) * to)
      for (let at = 0; at < y.length; at++) {
        const [n, o] = [Math.floor(at / to), at % to]
        y[at] = bias[o]
        for (let i = 0; i < from; i++) y[at] += x[n * from + i] * weight[o * from + i]
      }
      return y
    },
    /** The gradient of x; moves weight and bias. @param {Float32Array} x @param {Float32Array} gradient */
    step(x, gradient) {
      const gradInput = new Float32Array(x.length)
      const [gradWeight, gradBias] = [new Float32Array(weight.length), new Float32Array(to)]
      for (let at = 0; at < gradient.length; at++) {
        const [n, o] = [Math.floor(at / to), at % to]
        gradBias[o] += gradient[at]
        for (let i = 0; i < from; i++) {
          gradInput[n * from + i] += gradient[at] * weight[o * from + i]
          gradWeight[o * from + i] += gradient[at] * x[n * from + i]
        }
      }
      descend(weight, gradWeight)
      descend(bias, gradBias)
      return gradInput
    },
  }
}

/** @param {Float32Array} values @param {Float32Array} gradient */
function descend(values, gradient) {
  for (let at = 0; at < values.length; at++) values[at] -= rate * gradient[at]
}

const [first, last] = [linear(inputs, hidden), linear(hidden, 1)]
const bn = new BatchNorm1d(hidden)

/** @param {Float32Array} x */
function outputs(x) {
  const normalized = bn.forward(tensor(first.forward(x), [x.length / inputs, hidden]))
  const active = normalized.data.map((value) => Math.max(0, value))
  return { active, logits: last.forward(active) }
}

for (let epoch = 0; epoch <= 300; epoch++) {
  const { active, logits } = outputs(x)
  // The cross-entropy of the sigmoid of the logits.
  const loss = labels.reduce((sum, label, n) => sum + Math.log1p(Math.exp(label ? -logits[n] : logits[n])), 0)
  if (epoch % 100 === 0) console.log(`epoch ${epoch}: loss ${(loss / samples).toFixed(4)}`)
  const gradient = logits.map((logit, n) => (1 / (1 + Math.exp(-logit)) - labels[n]) / samples)
  const gradActive = last.step(active, gradient).map((value, at) => (active[at] > 0 ? value : 0))
  const gradLinear = bn.backward(tensor(gradActive, [samples, hidden]))
  first.step(x, gradLinear.data)
  for (const { data, grad } of bn.parameters()) descend(data, grad)
  bn.zeroGrad()
}

bn.eval()
const right = outputs(x).logits.reduce((sum, logit, n) => sum + Number(logit > 0 === Boolean(labels[n])), 0)
console.log(`accuracy in eval mode: ${((100 * right) / samples).toFixed(1)} %`)
