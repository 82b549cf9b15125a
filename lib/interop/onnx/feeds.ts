/** A model of ONNX Runtime, run on what a caller gives for its inputs. */
import { invalidType } from '../../checks/errors.ts'
import type { FloatTensorLike } from '../../checks/tensors.ts'
import type { Batches } from '../../moments/network-call.ts'
import type { OnnxRuntime, OnnxSession, OrtTensor } from './runtime.ts'
import { isOrtTensor, toOrt } from './tensors.ts'

/** A tensor of ONNX Runtime, of any type that the model takes; or one of ours, or of anything with `data` and `shape`. */
export type OnnxInput = OrtTensor | FloatTensorLike

/** What a model is run on: a tensor for each of its inputs, by their names; of a model with one input, the tensor alone. */
export type OnnxFeeds = OnnxInput | Readonly<Record<string, OnnxInput>>

/** A session of ONNX Runtime, with errors in our words. */
export class Running {
  readonly #runtime: OnnxRuntime
  readonly #session: OnnxSession

  private constructor(runtime: OnnxRuntime, session: OnnxSession) {
    this.#runtime = runtime
    this.#session = session
  }

  /**
   * @param options - those of `ort.InferenceSession.create`
   * @throws (rejects) TypeError for what is not the package, and with what ONNX Runtime says about the model
   */
  static async start(model: Uint8Array, runtime: OnnxRuntime, options: object): Promise<Running> {
    if (typeof runtime?.InferenceSession?.create !== 'function') {
      throw invalidType(
        'ort',
        'the package of ONNX Runtime',
        runtime,
        "import * as ort from 'onnxruntime-node'",
      )
    }
    return new Running(runtime, await runtime.InferenceSession.create(model, options as never))
  }

  /** Runs all of the batches but empty ones, and ends. */
  async through(
    batches: Batches<OnnxFeeds>,
    take: (outputs: Readonly<Record<string, OrtTensor>>) => void,
  ): Promise<void> {
    try {
      for await (const batch of batches) {
        const feeds = this.#feedsOf(batch)
        const tensors = Object.values(feeds)
        if (tensors.length > 0 && tensors.every(({ dims }) => dims.includes(0))) continue
        take((await this.#session.run(feeds as never)) as Record<string, OrtTensor>)
      }
    } finally {
      await this.#session.release()
    }
  }

  #feedsOf(batch: OnnxFeeds): Record<string, OrtTensor> {
    const { inputNames } = this.#session
    const isObject = typeof batch === 'object' && batch !== null
    const isAlone = isObject && (isOrtTensor(batch) || ('data' in batch && 'shape' in batch))
    const given = isAlone && inputNames.length === 1 ? { [inputNames[0]]: batch } : batch
    if (!isObject || inputNames.some((name) => !(name in given))) {
      throw invalidType(
        'a batch',
        `an object of tensors for ${inputNames.join(', ')}, the inputs of the model,`,
        batch,
      )
    }
    const entries = Object.entries(given as Readonly<Record<string, OnnxInput>>)
    return Object.fromEntries(
      entries.map(([name, value]) => [name, isOrtTensor(value) ? value : toOrt(value, this.#runtime)]),
    )
  }
}
