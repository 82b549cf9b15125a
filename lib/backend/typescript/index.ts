/** The TypeScript backend: the specification of the arithmetic, written to be read. */
import { setImmediate } from 'node:timers/promises'
import type { Backend, Gradients } from '../backend.ts'
import { backward, gradientSums, inputGradient } from './backward.ts'
import { forward } from './forward.ts'
import { activatedOf, epilogueOf, floatsOf, roomFor, store } from './halves.ts'
import { merge } from './moments.ts'
import { normalize } from './normalize.ts'
import type { Floats } from './order.ts'
import { evalStatistics, updateRunning } from './running.ts'
import { statistics } from './statistics.ts'

type Operations = Omit<Backend, 'name' | `${string}Async`>

const operations: Operations = {
  merge,
  updateRunning,
  evalStatistics,

  statistics(x, extent, moments) {
    statistics(floatsOf(x, extent), extent, moments)
  },

  normalize(x, extent, ofX, affine, y, epilogue) {
    const room = roomFor(y)
    normalize(floatsOf(x, extent), extent, ofX, affine, room, epilogueOf(epilogue, extent))
    store(room, y, extent)
  },

  forward(x, extent, settings, affine, running, moments, invstd, y, epilogue) {
    const [floats, room, then] = [floatsOf(x, extent), roomFor(y), epilogueOf(epilogue, extent)]
    const fits = forward(floats, extent, settings, affine, running, moments, invstd, room, then)
    if (fits || settings.nonFinite !== 'throw') store(room, y, extent)
    return fits
  },

  backward(gradOutput, x, extent, ofX, weight, training, gradients, activated) {
    const rooms = { ...gradients, ...roomsFor(gradients) }
    const [gradient, floats] = [floatsOf(gradOutput, extent), floatsOf(x, extent)]
    backward(gradient, floats, extent, ofX, weight, training, rooms, activatedOf(activated, extent))
    store(rooms.input, gradients.input, extent)
    if (activated) store(rooms.residual, gradients.residual ?? null, extent)
  },

  gradientSums(gradOutput, x, extent, ofX, sums, activated) {
    const [gradient, floats] = [floatsOf(gradOutput, extent), floatsOf(x, extent)]
    gradientSums(gradient, floats, extent, ofX, sums, activatedOf(activated, extent))
  },

  inputGradient(gradOutput, x, extent, ofX, weight, sums, count, gradients, activated) {
    const rooms = roomsFor(gradients)
    const [gradient, floats] = [floatsOf(gradOutput, extent), floatsOf(x, extent)]
    const through = activatedOf(activated, extent)
    inputGradient(gradient, floats, extent, ofX, weight, sums, count, rooms, through)
    store(rooms.input, gradients.input, extent)
    if (activated) store(rooms.residual, gradients.residual ?? null, extent)
  },
}

function roomsFor({ input, residual }: Pick<Gradients, 'input' | 'residual'>) {
  const room = (values: Gradients['input']): Floats | null => values && roomFor(values)
  return { input: room(input), residual: room(residual ?? null) }
}

export const typescriptBackend: Backend = {
  name: 'typescript',
  ...operations,
  statisticsAsync: inTurn(operations.statistics),
  normalizeAsync: inTurn(operations.normalize),
  forwardAsync: inTurn(operations.forward),
  backwardAsync: inTurn(operations.backward),
  gradientSumsAsync: inTurn(operations.gradientSums),
  inputGradientAsync: inTurn(operations.inputGradient),
}

/** There is no other thread here: the work is done in a turn of the event loop of its own. */
function inTurn<Call extends unknown[], Result>(work: (...call: Call) => Result) {
  return async (...call: Call): Promise<Result> => {
    await setImmediate()
    return work(...call)
  }
}
