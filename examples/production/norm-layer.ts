import { customGrad, type Tensor, tensor, tidy } from '@tensorflow/tfjs-core'
import { initializers, type LayerVariable, layers } from '@tensorflow/tfjs-layers'
import { BatchNorm1d, type DomainBatchNorm1d, type TensorLike } from '../../lib/index.ts'

/**
 * A module of this library as a layer of TensorFlow.js, which trains its scale and shift. With domains the batch's are told
 * before: one, or one for each sample.
 */
export class NormLayer extends layers.Layer {
  static className = 'ProductionNorm'

  domain: string | readonly string[] = ''
  #gamma!: LayerVariable
  #beta!: LayerVariable

  constructor(readonly module: BatchNorm1d | DomainBatchNorm1d) {
    super({})
  }

  override build(): void {
    const shape = [this.module.numFeatures]
    this.#gamma = this.addWeight('gamma', shape, 'float32', initializers.ones())
    this.#beta = this.addWeight('beta', shape, 'float32', initializers.zeros())
    this.built = true
  }

  override call(inputs: Tensor | Tensor[], { training = false }: { training?: boolean } = {}): Tensor {
    const input = Array.isArray(inputs) ? inputs[0] : inputs
    const { module } = this
    return tidy(() => {
      module.train(training)
      this.settle()
      return customGrad(() => ({
        value: toTensor(this.#forward(fromTensor(input))),
        gradFunc: (gradient: Tensor) => {
          module.zeroGrad()
          const gradInput = toTensor(module.backward(fromTensor(gradient)))
          return [gradInput, ...[module.weight, module.bias].map(({ grad }) => tensor(grad, [grad.length]))]
        },
      }))(input, this.#gamma.read(), this.#beta.read())
    })
  }

  /** Gives the module the scale and the shift that the optimizer has set last. */
  settle(): void {
    this.module.weight.data.set(this.#gamma.read().dataSync<'float32'>())
    this.module.bias.data.set(this.#beta.read().dataSync<'float32'>())
  }

  #forward(input: TensorLike): TensorLike {
    const { module, domain } = this
    return module instanceof BatchNorm1d ? module.forward(input) : module.forward(input, { domain })
  }
}

function toTensor({ data, shape }: TensorLike): Tensor {
  return tensor(data as Float32Array, [...shape], 'float32')
}

/** A copy: the memory of a tensor of TensorFlow.js is used again. */
function fromTensor(tensor: Tensor): TensorLike {
  return { data: tensor.dataSync<'float32'>().slice(), shape: tensor.shape }
}
