/** The method of PyTorch: all values count, with the batch's statistics or with the running ones. */
import type { Gradients, Running, Values } from '../../backend/backend.ts'
import { currentBackend } from '../../backend/load.ts'
import { nonFiniteError } from '../../functional/non-finite.ts'
import type { Method, Pass } from '../pass.ts'
import { backward, forward, normalize } from './steps.ts'

export const plain: Method = {
  *forward(pass) {
    const { input, extent, settings, affine, moments, statistics, output, fromBatch, epilogue } = pass
    if (fromBatch) {
      const { invstd } = statistics
      const running = moved(pass)
      const fits = yield* forward(input, extent, settings, affine, running, moments, invstd, output, epilogue)
      countBatch(pass, fits)
    } else {
      useRunning(pass)
      yield* normalize(input, extent, statistics, affine, output, epilogue)
    }
  },

  *backward({ input, extent, statistics, affine, fromBatch, activated }, gradOutput, gradients) {
    yield* backward(gradOutput, input, extent, statistics, affine.weight, fromBatch, gradients, activated)
  },

  repeat(pass) {
    pass.updatesRunning = false
  },
}

/** `plain.forward`, without the detour over a generator. */
export function forwardPlainly(pass: Pass): void {
  const { input, extent, settings, affine, moments, statistics, output, epilogue } = pass
  const backend = currentBackend()
  if (pass.fromBatch) {
    const { invstd } = statistics
    countBatch(
      pass,
      backend.forward(input, extent, settings, affine, moved(pass), moments, invstd, output, epilogue),
    )
  } else {
    useRunning(pass)
    backend.normalize(input, extent, statistics, affine, output, epilogue)
  }
}

/** `plain.backward`, without that detour. */
export function backwardPlainly(pass: Pass, gradOutput: Values, gradients: Gradients): void {
  const { input, extent, statistics, affine, fromBatch, activated } = pass
  if (!activated) gradients.residual?.set(gradOutput)
  currentBackend().backward(
    gradOutput,
    input,
    extent,
    statistics,
    affine.weight,
    fromBatch,
    gradients,
    activated,
  )
}

/** Whether there is anything to compute: a rank without values takes part in what the others do. */
export function hasWork({ input, method }: Pass): boolean {
  return input.length > 0 || method !== plain
}

/** Fills the pass's statistics with the running ones. */
export function useRunning({ running, settings, statistics }: Pass): void {
  currentBackend().evalStatistics(running?.buffers as Running, settings.eps, statistics)
}

function moved({ updatesRunning, running }: Pass): Running | null {
  return updatesRunning && running !== null ? running.buffers : null
}

/** Throws, or counts the batch, as `nonFinite` says. */
function countBatch(
  { settings: { nonFinite }, moments, updatesRunning, running, dtype }: Pass,
  fits: boolean,
): void {
  if (!fits && nonFinite === 'throw') throw nonFiniteError(moments, updatesRunning ? running : null, dtype)
  if (updatesRunning) running?.count(moments, nonFinite, fits)
}
