/**
 * ONNX Runtime as far as it is used here. Its package (`onnxruntime-node`, `onnxruntime-web`) is handed in by whoever
 * has it: nothing here imports it.
 */

/** A tensor of ONNX Runtime. */
export interface OrtTensor<Data = unknown> {
  /** Its words for a type: `'float32'`, `'float16'`, `'int64'`, ... */
  readonly type: string
  /** Its shape. */
  readonly dims: readonly number[]
  /** Not to be read where the values lie elsewhere, as on a GPU. */
  readonly data: Data
  /** `'cpu'`, where the values can be read. */
  readonly location?: string
}

/** What has the class of its tensors: `import * as ort from 'onnxruntime-node'`. */
export interface OrtTensors<Made> {
  /** The class of its tensors. */
  readonly Tensor: new (
    type: never,
    data: never,
    dims: never,
  ) => Made
}

/** The package, which also runs models. */
export interface OnnxRuntime extends OrtTensors<OrtTensor> {
  /** What makes a session of a model. */
  readonly InferenceSession: {
    create(model: Uint8Array, options?: never): Promise<OnnxSession>
  }
}

/** A model that is ready to run. */
export interface OnnxSession {
  /** The names of the inputs of the model. */
  readonly inputNames: readonly string[]
  /** Computes the outputs, by name, of tensors for the inputs, by name. */
  run(feeds: never): Promise<Readonly<Record<string, unknown>>>
  /** Lets go of the model. */
  release(): Promise<void>
}
