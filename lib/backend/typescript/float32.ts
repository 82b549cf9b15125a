import type { Arithmetic } from './arithmetic.ts'
import { ROWS_PER_GROUP } from './order.ts'

/** Below it, a float32 sum of squares may have lost bits to underflow: 2^-96. */
const SMALLEST_SAFE_SQUARE = 2 ** -96

/**
 * The arithmetic of float32: float64 operations rounded by `Math.fround`, or by the store into a
 * `Float32Array`, which gives IEEE 754's float32 result exactly for + - * / and sqrt, because
 * 53 >= 2 * 24 + 2 (Figueroa 1995, "When is double rounding innocuous?").
 */
export const float32: Arithmetic = {
  array: (length) => new Float32Array(length),
  round: Math.fround,
  from: (values) => Float32Array.from(values),
  roundedMean(statistics) {
    const mean = Float32Array.from(statistics.mean)
    return { mean, lost: statistics.mean.map((exact, channel) => exact - mean[channel]) }
  },

  /**
   * No overflow (values around 1e20 and beyond), no underflow (around 1e-15 and below). Both sums are
   * zero where a channel is constant, which is safe and common.
   */
  isSafe(sum, square) {
    return Number.isFinite(square) && (square >= SMALLEST_SAFE_SQUARE || (square === 0 && sum === 0))
  },
  keepsLost: false,

  accumulateMoments(x, { offset, rows, columns, stride }, pivots, sums, squares) {
    for (let row = 0; row < rows; row += ROWS_PER_GROUP) {
      const start = offset + row * stride
      const end = offset + Math.min(row + ROWS_PER_GROUP, rows) * stride
      for (let column = 0; column < columns; column++) {
        const pivot = pivots[column]
        let sum = 0
        let square = 0
        for (let index = start + column; index < end; index += stride) {
          const difference = Math.fround(x[index] - pivot)
          sum = Math.fround(sum + difference)
          square = Math.fround(square + Math.fround(difference * difference))
        }
        sums[column] += sum
        squares[column] += square
      }
    }
  },

  accumulateGradients(
    gradients,
    x,
    { offset, rows, columns, stride },
    means,
    invstds,
    gradientSums,
    productSums,
  ) {
    for (let row = 0; row < rows; row += ROWS_PER_GROUP) {
      const start = offset + row * stride
      const end = offset + Math.min(row + ROWS_PER_GROUP, rows) * stride
      for (let column = 0; column < columns; column++) {
        const mean = means[column]
        const invstd = invstds[column]
        let gradientSum = 0
        let productSum = 0
        for (let index = start + column; index < end; index += stride) {
          const gradient = gradients[index]
          const normalized = Math.fround(Math.fround(x[index] - mean) * invstd)
          gradientSum = Math.fround(gradientSum + gradient)
          productSum = Math.fround(productSum + Math.fround(gradient * normalized))
        }
        gradientSums[column] += gradientSum
        productSums[column] += productSum
      }
    }
  },

  normalize(x, samples, { mean, scale, shift }, y) {
    let index = 0
    for (let sample = 0; sample < samples; sample++) {
      for (let value = 0; value < mean.length; value++, index++) {
        y[index] = Math.fround(Math.fround(x[index] - mean[value]) * scale[value]) + shift[value]
      }
    }
  },

  trainingGradient(gradients, x, samples, { mean, slope, offset, scale }, to) {
    let index = 0
    for (let sample = 0; sample < samples; sample++) {
      for (let value = 0; value < mean.length; value++, index++) {
        const direct = Math.fround(gradients[index] - offset[value])
        const throughVariance = Math.fround(Math.fround(x[index] - mean[value]) * slope[value])
        to[index] = Math.fround(direct - throughVariance) * scale[value]
      }
    }
  },

  evalGradient(gradients, samples, scale, to) {
    let index = 0
    for (let sample = 0; sample < samples; sample++) {
      for (let value = 0; value < scale.length; value++, index++) to[index] = gradients[index] * scale[value]
    }
  },
}
