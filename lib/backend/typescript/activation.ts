import type { Activated, Epilogue, KernelActivation } from '../backend.ts'
import type { Arithmetic } from './arithmetic.ts'
import type { Floats } from './order.ts'

/** `y = activation(z + residual)`, the sum rounded before the activation. `y` may be the residual. */
export function applyEpilogue(
  arithmetic: Arithmetic,
  { activation, residual }: Epilogue<Floats>,
  z: Floats,
  y: Floats,
): void {
  const activate = activation === null ? (value: number) => value : activationOf(arithmetic, activation)
  for (let index = 0; index < z.length; index++) {
    y[index] = activate(residual === null ? z[index] : arithmetic.round(z[index] + residual[index]))
  }
}

/**
 * As PyTorch has them. relu: 0 below 0, so that NaN and -0 stay as they are; leakyRelu: z above 0,
 * otherwise `z * negativeSlope`, which is 0 * negativeSlope for 0 of either sign.
 * https://pytorch.org/docs/stable/generated/torch.nn.LeakyReLU.html
 */
function activationOf(
  arithmetic: Arithmetic,
  { name, negativeSlope }: KernelActivation,
): (z: number) => number {
  // biome-ignore lint/complexity/useMathMinMax: Math.max(-0, 0) is 0
  if (name === 'relu') return (z) => (z < 0 ? 0 : z)
  const slope = arithmetic.round(negativeSlope)
  return (z) => (z > 0 ? z : z * slope)
}

/**
 * gradZ: what an activation lets through of the gradient of its output, told by the output. relu: 0
 * where the output is 0 (PyTorch lets the gradient of a NaN through); leakyRelu: the gradient where the
 * output is above 0, otherwise `gradOutput * negativeSlope`.
 */
export function throughActivation(
  arithmetic: Arithmetic,
  { activation: { name, negativeSlope }, output }: Activated<Floats>,
  gradOutput: Floats,
): Floats {
  if (name === 'relu') return gradOutput.map((gradient, index) => (output[index] <= 0 ? 0 : gradient))
  const slope = arithmetic.round(negativeSlope)
  return gradOutput.map((gradient, index) => (output[index] > 0 ? gradient : gradient * slope))
}
