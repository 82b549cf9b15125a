import type { Arithmetic } from './arithmetic.ts'
import { addToLanes, ROWS_PER_GROUP } from './order.ts'

/**
 * The arithmetic of float32: float64 operations rounded by `Math.fround`, or by the store into a
 * `Float32Array`, which gives IEEE 754's float32 result exactly for + - * / and sqrt, because
 * 53 >= 2 * 24 + 2 (Figueroa 1995, "When is double rounding innocuous?").
 */
export const float32: Arithmetic = {
  array: (length) => new Float32Array(length),
  round: Math.fround,
  from: (values) => Float32Array.from(values),
  limits: {
    smallestNormal: 2 ** -126,
    largest: 2 ** 100,
    smallestVariance: 2 ** -120,
    smallestPivot: 2 ** -40,
  },

  accumulateMoments(x, { offset, length }, order, pivots, sums, squares) {
    const { columns } = order
    const groupSums = new Float32Array(columns)
    const groupSquares = new Float32Array(columns)
    for (let row = 0; row < length; row += ROWS_PER_GROUP * columns) {
      const end = offset + Math.min(row + ROWS_PER_GROUP * columns, length)
      for (let column = 0; column < columns; column++) {
        const pivot = pivots[column]
        let sum = 0
        let square = 0
        for (let index = offset + row + column; index < end; index += columns) {
          const difference = Math.fround(x[index] - pivot)
          sum = Math.fround(sum + difference)
          square = Math.fround(square + Math.fround(difference * difference))
        }
        groupSums[column] = sum
        groupSquares[column] = square
      }
      addToLanes(order, groupSums, sums)
      addToLanes(order, groupSquares, squares)
    }
  },

  accumulateGradients(gradients, x, { offset, length }, order, by, gradientSums, productSums) {
    const { columns } = order
    const groupGradients = new Float32Array(columns)
    const groupProducts = new Float32Array(columns)
    for (let row = 0; row < length; row += ROWS_PER_GROUP * columns) {
      const end = offset + Math.min(row + ROWS_PER_GROUP * columns, length)
      for (let column = 0; column < columns; column++) {
        const pivot = by.pivot[column]
        const mean = by.mean[column]
        const unit = by.unit[column]
        let gradientSum = 0
        let productSum = 0
        for (let index = offset + row + column; index < end; index += columns) {
          const gradient = Math.fround(gradients[index] - pivot)
          const deviation = Math.fround(Math.fround(x[index] - mean) * unit)
          gradientSum = Math.fround(gradientSum + gradient)
          productSum = Math.fround(productSum + Math.fround(gradient * deviation))
        }
        groupGradients[column] = gradientSum
        groupProducts[column] = productSum
      }
      addToLanes(order, groupGradients, gradientSums)
      addToLanes(order, groupProducts, productSums)
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

  trainingGradient(gradients, x, samples, { mean, slope, offset, scale, shift }, to) {
    let index = 0
    for (let sample = 0; sample < samples; sample++) {
      for (let value = 0; value < mean.length; value++, index++) {
        const direct = Math.fround(gradients[index] - offset[value])
        const throughVariance = Math.fround(Math.fround(x[index] - mean[value]) * slope[value])
        to[index] = Math.fround(Math.fround(direct - throughVariance) * scale[value]) + shift[value]
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
