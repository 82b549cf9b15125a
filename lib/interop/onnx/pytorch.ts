/** What PyTorch means by an .onnx file that it has written, beside what the operator says. */
import type { Convention } from '../conventions/convention.ts'
import { type OnnxParameters, onnx } from '../conventions/onnx.ts'
import type { Vector } from '../conventions/values.ts'

/** Its running variance is the one of the module that was exported. */
export const onnxOfPyTorch: Convention<OnnxParameters, OnnxParameters<Vector>> = {
  ...onnx,
  runningVariance: { name: 'input_var', kind: 'unbiased' },
}

/** `producer_name` of both of its exporters. */
export function isPyTorch(producer: string): boolean {
  return producer === 'pytorch'
}

/**
 * `momentum=None`, the cumulative average, has no place in ONNX. PyTorch writes the weight that the next batch
 * would have had: none in inference, in training all of it before the first batch.
 */
export function notesOfPyTorch(momentum: number | null): string[] {
  const notes: string[] = []
  if (momentum === 0 || momentum === 1) {
    notes.push(
      `momentum is ${momentum}, as PyTorch writes momentum=None: the running statistics ` +
        `${momentum === 0 ? 'stay as they are' : 'become those of the last batch'} in training. ` +
        'Set module.momentum = null for the cumulative average.',
    )
  }
  return notes
}
