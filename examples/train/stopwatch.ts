import { customGrad, type Tensor } from '@tensorflow/tfjs-core'
import { layers } from '@tensorflow/tfjs-layers'

/**
 * Measures what the layers between `before` and `after` cost, forward and backward, with every copy
 * in and out of them. TensorFlow.js runs one operation after the other on this thread, so the clock
 * runs from one mark to the other, and nothing else happens meanwhile.
 */
export class Stopwatch {
  private milliseconds = 0
  private started = 0

  private readonly start = () => {
    this.started = performance.now()
  }
  private readonly stop = () => {
    this.milliseconds += performance.now() - this.started
  }

  /** The milliseconds since the last call; starts again from 0. */
  take(): number {
    const { milliseconds } = this
    this.milliseconds = 0
    return milliseconds
  }

  /** A layer that starts the clock in the forward pass and stops it in the backward pass. */
  before(): layers.Layer {
    return new Mark(this.start, this.stop)
  }

  /** A layer that stops the clock in the forward pass and starts it in the backward pass. */
  after(): layers.Layer {
    return new Mark(this.stop, this.start)
  }
}

/** Passes its input on, and the gradient back, and tells when. */
class Mark extends layers.Layer {
  static className = 'Mark'

  constructor(
    private readonly onForward: () => void,
    private readonly onBackward: () => void,
  ) {
    super({})
  }

  override call(inputs: Tensor | Tensor[]): Tensor {
    const input = Array.isArray(inputs) ? inputs[0] : inputs
    return customGrad(() => {
      this.onForward()
      return { value: input.clone(), gradFunc: (gradient: Tensor) => this.passBack(gradient) }
    })(input)
  }

  private passBack(gradient: Tensor): Tensor {
    this.onBackward()
    return gradient.clone()
  }
}
