import { initializers, layers } from '@tensorflow/tfjs-layers'
import { uniformInt } from 'pure-rand/distribution/uniformInt'
import type { RandomGenerator } from 'pure-rand/types/RandomGenerator'

/** A dense layer, weights and biases uniform within +-1 / sqrt(inputs), as PyTorch's `Linear` draws them. */
export function dense(inputs: number, units: number, random: RandomGenerator): layers.Layer {
  const bound = 1 / Math.sqrt(inputs)
  // A seed of 0 would mean "no seed" to TensorFlow.js.
  const uniform = () =>
    initializers.randomUniform({ minval: -bound, maxval: bound, seed: uniformInt(random, 1, 0x7fffffff) })
  return layers.dense({
    units,
    inputShape: [inputs],
    kernelInitializer: uniform(),
    biasInitializer: uniform(),
  })
}
