import type { Arithmetic } from './arithmetic.ts'
import { addToLanes, ROWS_PER_GROUP } from './order.ts'

/** The arithmetic of float64, operation by operation that of float32, in the language's own numbers. */
export const float64: Arithmetic = {
  array: (length) => new Float64Array(length),
  round: (value) => value,
  from: (values) => values.slice(),
  limits: {
    smallestNormal: 2 ** -1022,
    largest: 2 ** 900,
    smallestVariance: 2 ** -960,
    smallestPivot: 2 ** -400,
  },

  accumulateMoments(x, { offset, length }, order, pivots, sums, squares) {
    const { columns } = order
    const groupSums = new Float64Array(columns)
    const groupSquares = new Float64Array(columns)
    for (let row = 0; row < length; row += ROWS_PER_GROUP * columns) {
      const end = offset + Math.min(row + ROWS_PER_GROUP * columns, length)
      for (let column = 0; column < columns; column++) {
        const pivot = pivots[column]
        let sum = 0
        let square = 0
        for (let index = offset + row + column; index < end; index += columns) {
          const difference = x[index] - pivot
          sum = sum + difference
          square = square + difference * difference
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
    const groupGradients = new Float64Array(columns)
    const groupProducts = new Float64Array(columns)
    for (let row = 0; row < length; row += ROWS_PER_GROUP * columns) {
      const end = offset + Math.min(row + ROWS_PER_GROUP * columns, length)
      for (let column = 0; column < columns; column++) {
        const pivot = by.pivot[column]
        const mean = by.mean[column]
        const unit = by.unit[column]
        let gradientSum = 0
        let productSum = 0
        for (let index = offset + row + column; index < end; index += columns) {
          const gradient = gradients[index] - pivot
          const deviation = (x[index] - mean) * unit
          gradientSum = gradientSum + gradient
          productSum = productSum + gradient * deviation
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
        y[index] = (x[index] - mean[value]) * scale[value] + shift[value]
      }
    }
  },

  trainingGradient(gradients, x, samples, { mean, slope, offset, scale, shift }, to) {
    let index = 0
    for (let sample = 0; sample < samples; sample++) {
      for (let value = 0; value < mean.length; value++, index++) {
        const direct = gradients[index] - offset[value]
        const throughVariance = (x[index] - mean[value]) * slope[value]
        to[index] = (direct - throughVariance) * scale[value] + shift[value]
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
