import type { PerChannel, Values } from '../../backend/backend.ts'
import { aliasing, assertAliasing } from '../../checks/aliasing.ts'
import type { FloatTensorLike } from '../../checks/tensors.ts'
import type { ResultData } from '../../functional/arguments.ts'
import type { TensorData } from '../../tensor/data-type.ts'
import { disposeOutput } from '../../tensor/output-memory.ts'
import type { Tensor } from '../../tensor/tensor.ts'
import { type BackwardOptions, endBackward, type StartedBackward } from '../backward.ts'
import type { Internals } from '../internals.ts'
import { hasWork } from '../methods/plain.ts'
import { runAsync, runSync, type Steps } from '../methods/steps.ts'
import { inDomain } from './in-domain.ts'
import type { MixedForward, Part } from './mixed-forward.ts'

/** A part in a backward, and where its gradients go: parts of the batch's, or arrays of their own. */
interface StartedPart {
  readonly part: Part
  readonly started: StartedBackward
  readonly gradInput: Values
  readonly gradResidual: Values | null
}

/** The backward of a `MixedForward`: that of each domain's batch norm on its rows, one after another. */
export class MixedBackward {
  readonly #forward: MixedForward
  readonly #whole: Internals
  readonly #started: StartedBackward
  readonly #gradInput: Values
  readonly #gradResidual: Values | null
  readonly #parts: readonly StartedPart[]

  /** Checks everything. */
  constructor(
    forward: MixedForward,
    whole: Internals,
    gradOutput: FloatTensorLike,
    options: BackwardOptions,
  ) {
    this.#forward = forward
    this.#whole = whole
    this.#started = whole.startBackward(gradOutput, options)
    const { gradients } = whole.channels()
    this.#gradInput = gradients.input as Values
    this.#gradResidual = gradients.residual ?? null
    const out = options.out && this.#gradInput
    for (const { name, module } of forward.parts) {
      const arrays = { out, gradResidual: this.#gradResidual }
      inDomain(name, () => assertAliasing(aliasing.backward, arrays, module.channels().arrays))
    }
    this.#parts = forward.parts.map((part) => this.#startPart(part))
  }

  /** Does the work on this thread. */
  run<Data extends TensorData>(): Tensor<ResultData<Data>> {
    runSync(this.#steps())
    return this.#end()
  }

  /** Does it on another one. */
  async runAway<Data extends TensorData>(): Promise<Tensor<ResultData<Data>>> {
    const { pass, gradY, gradXIsNew } = this.#started
    const read: (Values | PerChannel | null)[] = [gradY, pass.input]
    for (const { started } of this.#parts) {
      read.push(started.pass.affine.weight, started.pass.activated?.output ?? null)
    }
    const written = [gradXIsNew ? null : this.#gradInput, this.#gradResidual]
    const work = this.#parts.reduce<() => Promise<void>>(
      (inner, { part }) =>
        () =>
          part.module.whileBusy(inner, false),
      () => runAsync(this.#steps(), read, written),
    )
    await work()
    return this.#end()
  }

  *#steps(): Steps {
    for (const { part, started } of this.#parts) {
      const { pass, gradY } = started
      if (hasWork(pass)) yield* pass.method.backward(pass, gradY, part.module.channels().gradients)
    }
    const { length } = this.#forward
    for (const { part, gradInput, gradResidual } of this.#parts) {
      if (part.rows.areNeighbours) continue
      part.rows.scatter(gradInput, length, this.#gradInput)
      if (gradResidual && this.#gradResidual) part.rows.scatter(gradResidual, length, this.#gradResidual)
    }
  }

  /** Adds to the gradients of scale and shift, domain after domain. */
  #end<Data extends TensorData>(): Tensor<ResultData<Data>> {
    const gradX = endBackward<Data>(this.#whole.channels(), this.#started.pass)
    for (const { part, started, gradInput, gradResidual } of this.#parts) {
      endBackward(part.module.channels(), started.pass)
      if (part.rows.areNeighbours) continue
      for (const copy of [started.gradY, gradInput, gradResidual]) if (copy) disposeOutput(copy)
    }
    return gradX
  }

  #startPart(part: Part): StartedPart {
    const { name, module, rows, pass } = part
    const { length } = this.#forward
    const resultOf = (array: Values) =>
      rows.areNeighbours ? rows.viewOf(array, length) : this.#forward.roomFor(rows)
    const { gradY } = this.#started
    const data = rows.areNeighbours
      ? rows.viewOf(gradY, length)
      : rows.gather(gradY, length, this.#forward.roomFor(rows))
    const gradInput = resultOf(this.#gradInput)
    const gradResidual = this.#gradResidual && resultOf(this.#gradResidual)
    const started = inDomain(name, () =>
      module.startBackward(
        { data, shape: pass.shape, dtype: pass.type },
        { out: gradInput, gradResidual: gradResidual ?? undefined },
      ),
    )
    return { part, started, gradInput, gradResidual }
  }
}
