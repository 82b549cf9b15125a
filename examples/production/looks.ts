/** What may become of digits between the training and the service: other light, another camera, another hand. */
import { PIXELS } from '../../cli/training/digits.ts'
import type { Examples } from '../../cli/training/examples.ts'

/** Another look of the same digits, image by image. */
export type Look = (inputs: Float32Array) => Float32Array

const SIDE = Math.sqrt(PIXELS)

export function dimmed(brightness: number): Look {
  return (inputs) => inputs.map((ink) => ink * brightness)
}

export function inverted(inputs: Float32Array): Float32Array {
  return inputs.map((ink) => 1 - ink)
}

/** Clockwise about the middle; each pixel is the bilinear mean of the four around the place it comes from, or paper. */
export function rotated(degrees: number): Look {
  const taps = tapsOf((degrees / 180) * Math.PI)
  return (inputs) => {
    const turned = new Float32Array(inputs.length)
    for (let begin = 0; begin < inputs.length; begin += PIXELS) {
      for (const { to, from, weight } of taps) turned[begin + to] += inputs[begin + from] * weight
    }
    return turned
  }
}

export function looking(examples: Examples, look: Look): Examples {
  return { ...examples, inputs: look(examples.inputs) }
}

/** What a pixel `to` has of a pixel `from`. */
interface Tap {
  readonly to: number
  readonly from: number
  readonly weight: number
}

function tapsOf(angle: number): Tap[] {
  const [cos, sin, middle] = [Math.cos(angle), Math.sin(angle), (SIDE - 1) / 2]
  const taps: Tap[] = []
  for (let to = 0; to < PIXELS; to++) {
    const [right, down] = [(to % SIDE) - middle, Math.floor(to / SIDE) - middle]
    const [x, y] = [middle + cos * right + sin * down, middle - sin * right + cos * down]
    const [left, top] = [Math.floor(x), Math.floor(y)]
    for (const column of [left, left + 1]) {
      for (const row of [top, top + 1]) {
        const weight = (1 - Math.abs(x - column)) * (1 - Math.abs(y - row))
        const isInside = column >= 0 && column < SIDE && row >= 0 && row < SIDE
        if (isInside && weight > 0) taps.push({ to, from: row * SIDE + column, weight })
      }
    }
  }
  return taps
}
