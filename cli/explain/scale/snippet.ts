import { BatchNorm1d, describeOutput, outputRange, setIdentity, type TensorLike } from '../../../lib/index.ts'

/** What batch norm makes of a batch x, [n, channels], and how it gives x back. */
export function standardize(x: TensorLike) {
  const [n, channels] = x.shape
  const batchNorm = new BatchNorm1d(channels, { momentum: 1 }) // running statistics of this batch
  const y = batchNorm.forward(x)
  const description = describeOutput(y) // mean 0 and standard deviation 1 in each channel
  const { bound } = outputRange(n) // sqrt(n - 1): no value is beyond it
  const { largestError } = setIdentity(batchNorm) // gamma = sqrt(var + eps), beta = mean
  return { batchNorm, y, description, bound, largestError, again: batchNorm.eval().forward(x) }
}
