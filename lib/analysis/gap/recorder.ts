import { assertAgreeing } from '../../checks/contradictions.ts'
import type { FloatTensorLike } from '../../checks/tensors.ts'
import { inputOf } from '../../functional/arguments.ts'
import { statisticsFit } from '../../functional/non-finite.ts'
import type { AnyBatchNorm } from '../../modules/batch-norm.ts'
import { internals } from '../../modules/internals.ts'
import { cutIntoGroups } from '../../modules/methods/ghost.ts'
import { claim } from '../../moments/claim.ts'
import { inEval } from '../../moments/in-eval.ts'
import { Moments } from '../../moments/moments.ts'
import type { Recorder } from '../../moments/network-call.ts'
import { assertAllCount } from '../../moments/uncounted.ts'
import { Tensor } from '../../tensor/tensor.ts'

/** The statistics that training would normalize a batch with, or a ghost batch. */
export interface RecordedBatch {
  readonly samples: number
  readonly count: number
  readonly mean: Float64Array
  /** The biased ones. */
  readonly variance: Float64Array
}

/** What was recorded of a module's inputs. */
export interface Recording {
  readonly batches: readonly RecordedBatch[]
  /** Of all values, without batches that `nonFinite: 'skip'` keeps from the running statistics. */
  readonly population: Moments
}

/** Records the moments of each batch, cut as training would cut it. */
export class InputRecorder implements Recording, Recorder {
  readonly batches: RecordedBatch[] = []
  readonly population: Moments
  readonly #module: AnyBatchNorm
  /** Undoes `start`. */
  #undo: (() => void) | null = null

  /** @throws TypeError for a module whose batches are those of all ranks */
  constructor(module: AnyBatchNorm) {
    const collective = module[internals].synchronization()
    assertAgreeing({ explainGap: true, collective })
    this.#module = module
    this.population = new Moments(module.numFeatures, { layout: module.layout })
  }

  record(input: FloatTensorLike): void {
    const { numFeatures, layout, virtualBatchSize, nonFinite } = this.#module
    const { x, type, shape } = inputOf('batch', input, layout, numFeatures)
    const [samples] = shape
    if (x.length === 0) return
    const size = x.length / samples
    let begin = 0
    for (const end of cutIntoGroups(samples, virtualBatchSize ?? samples)) {
      const group = new Tensor(x.subarray(begin * size, end * size), [end - begin, ...shape.slice(1)], type)
      const moments = Moments.of(group, { layout })
      this.batches.push({
        samples: end - begin,
        count: moments.count,
        mean: moments.mean,
        variance: moments.variance(),
      })
      if (nonFinite !== 'skip' || statisticsFit(moments.total(), null)) this.population.merge(moments)
      begin = end
    }
  }

  /**
   * Until `stop`, the module is in eval mode with its running statistics at rest, and what its `forward` and
   * `forwardAsync` are given is recorded.
   *
   * @throws TypeError while another call has the module for itself
   */
  start(): void {
    const module = this.#module
    const release = claim(module, 'explainGap()')
    const endListening = module[internals].listen((input, options) => {
      assertAllCount(module, options, 'explained')
      this.record(input)
    })
    const goBack = inEval(module, { useBatchStats: module.useBatchStats, updateStats: false })
    this.#undo = () => {
      endListening()
      release()
      goBack()
    }
  }

  stop(): void {
    this.#undo?.()
    this.#undo = null
  }
}
