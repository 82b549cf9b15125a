import type { Gradients, Values } from '../../backend/backend.ts'
import type { Pass } from '../pass.ts'
import type { Steps } from './steps.ts'

/**
 * How a forward normalizes, and how backward follows it. There is one for each option that needs its
 * own; `plain` is that of all others. A method that has a state belongs to one pass.
 */
export interface Method {
  /**
   * Normalizes `pass.input` into `pass.output` and leaves in `pass` what backward needs; moves and
   * counts the running statistics if `pass.moves`.
   *
   * @throws RangeError for what `nonFinite: 'throw'` names; TypeError for what cannot be repeated. Nothing
   * has changed then.
   */
  forward(pass: Pass): Steps

  /** Writes the gradients of `forward`. */
  backward(pass: Pass, gradOutput: Values, gradients: Gradients): Steps

  /**
   * Makes `forward` do again what `previous` did, the method of the last forward if there was one: the
   * running statistics do not move, and where they took part, they do so as they were then.
   */
  repeat(pass: Pass, previous: Method | null): void
}
