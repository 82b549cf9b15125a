// `batchNormalization` in the place of tf.layers.batchNormalization, and nothing else changed: the same arguments, the
// same weights. Both models learn the same, but for rounding.
import '@tensorflow/tfjs-backend-cpu'
import { abs, max, mul, randomUniform, sub, sum, tanh, train } from '@tensorflow/tfjs-core'
import { initializers, layers, sequential } from '@tensorflow/tfjs-layers'
import { batchNormalization } from 'batchnorm/tfjs'

/** @param {(args: { axis: number, momentum: number }) => layers.Layer} normalization */
function network(normalization) {
  const model = sequential()
  model.add(
    layers.dense({ units: 8, inputShape: [3], kernelInitializer: initializers.glorotUniform({ seed: 1 }) }),
  )
  model.add(normalization({ axis: -1, momentum: 0.9 }))
  model.add(layers.reLU())
  model.add(layers.dense({ units: 1, kernelInitializer: initializers.glorotUniform({ seed: 2 }) }))
  model.compile({ optimizer: train.sgd(0.1), loss: 'meanSquaredError' })
  return model
}

const x = randomUniform([64, 3], -1, 1, 'float32', 7)
const y = tanh(sum(mul(x, [[1, -2, 0.5]]), 1, true))
const [theirs, ours] = [network(layers.batchNormalization), network(batchNormalization)]
ours.setWeights(theirs.getWeights())

for (const [name, model] of Object.entries({ theirs, ours })) {
  const { history } = await model.fit(x, y, { epochs: 30, batchSize: 32, shuffle: false, verbose: 0 })
  console.log(`${name}: the loss fell from ${history.loss[0]} to ${history.loss[29]}`)
}
const [a, b] = [theirs, ours].map(
  (model) => /** @type {import('@tensorflow/tfjs-core').Tensor} */ (model.predict(x)),
)
console.log(`largest difference of their predictions: ${max(abs(sub(a, b))).dataSync()[0]}`)
