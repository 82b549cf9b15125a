/** The conventions by name. */
import type { Convention } from './convention.ts'
import { type FlaxParameters, flax } from './flax.ts'
import { type KerasParameters, keras } from './keras.ts'
import { type MxNetParameters, mxNet } from './mxnet.ts'
import { type OneDnnParameters, oneDnn } from './onednn.ts'
import { type OnnxParameters, onnx } from './onnx.ts'
import { type TfFusedParameters, tfFused } from './tf-fused.ts'
import type { ConventionValues, Vector } from './values.ts'

/** The parameters of a batch norm, as each framework calls them; `Each` is what one number a channel comes in. */
export interface Conventions<Each = ConventionValues> {
  keras: KerasParameters<Each>
  'tf-fused': TfFusedParameters<Each>
  flax: FlaxParameters<Each>
  onnx: OnnxParameters<Each>
  onednn: OneDnnParameters<Each>
  mxnet: MxNetParameters<Each>
}

export type ConventionName = keyof Conventions

export const conventions: {
  readonly [Name in ConventionName]: Convention<Conventions[Name], Conventions<Vector>[Name]>
} = { keras, 'tf-fused': tfFused, flax, onnx, onednn: oneDnn, mxnet: mxNet }

export const conventionNames = Object.keys(conventions) as ConventionName[]
