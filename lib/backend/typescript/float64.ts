import type { Arithmetic } from './arithmetic.ts'
import { ROWS_PER_GROUP } from './order.ts'

/** The arithmetic of float64, operation by operation that of float32, in the language's own numbers. */
export const float64: Arithmetic = {
  array: (length) => new Float64Array(length),
  round: (value) => value,
  from: (values) => values.slice(),
  roundedMean({ mean, lost }) {
    return { mean, lost: lost ?? new Float64Array(mean.length) }
  },

  /** There is no wider type to add in: what overflows (values around 1e154 and beyond) stays so. */
  isSafe: () => true,
  keepsLost: true,

  accumulateMoments(x, { offset, rows, columns, stride }, pivots, sums, squares) {
    for (let row = 0; row < rows; row += ROWS_PER_GROUP) {
      const start = offset + row * stride
      const end = offset + Math.min(row + ROWS_PER_GROUP, rows) * stride
      for (let column = 0; column < columns; column++) {
        const pivot = pivots[column]
        let sum = 0
        let square = 0
        for (let index = start + column; index < end; index += stride) {
          const difference = x[index] - pivot
          sum += difference
          square += difference * difference
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
          gradientSum += gradients[index]
          productSum += gradients[index] * ((x[index] - mean) * invstd)
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
        y[index] = (x[index] - mean[value]) * scale[value] + shift[value]
      }
    }
  },

  trainingGradient(gradients, x, samples, { mean, slope, offset, scale }, to) {
    let index = 0
    for (let sample = 0; sample < samples; sample++) {
      for (let value = 0; value < mean.length; value++, index++) {
        const throughVariance = (x[index] - mean[value]) * slope[value]
        to[index] = (gradients[index] - offset[value] - throughVariance) * scale[value]
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
