import type { PerChannel, Values } from '../../backend/backend.ts'
import { aliasing, assertAliasing } from '../../checks/aliasing.ts'
import type { ResultData } from '../../functional/arguments.ts'
import type { TensorData } from '../../tensor/data-type.ts'
import { disposeOutput, outputArray } from '../../tensor/output-memory.ts'
import { product } from '../../tensor/shape.ts'
import type { Tensor } from '../../tensor/tensor.ts'
import { endForward, type ForwardOptions } from '../forward.ts'
import type { Internals } from '../internals.ts'
import { hasWork } from '../methods/plain.ts'
import { runAsync, runSync, type Steps } from '../methods/steps.ts'
import type { Pass } from '../pass.ts'
import { inDomain, ofDomain } from './in-domain.ts'
import type { Rows } from './rows.ts'

/** The rows of one domain, and the batch norm that they go to. */
export interface Group {
  readonly name: string
  readonly module: Internals
  readonly rows: Rows
}

/** A group in a forward. Its input is a part of the batch's, or a copy. */
export interface Part extends Group {
  readonly pass: Pass
  readonly input: Values
}

/**
 * A forward of samples of several domains: that of each domain's batch norm on its rows, as if they came alone, but
 * that nothing has changed if one of them throws. Rows that lie one after another are worked on where they are, others
 * on a copy.
 */
export class MixedForward {
  readonly parts: readonly Part[]
  /** How many values a sample has. */
  readonly length: number
  readonly #whole: Internals
  readonly #pass: Pass

  /**
   * Checks everything.
   *
   * @param whole - checks the batch, and has the memory of its output
   * @param pass - that it has started
   * @throws what a forward of a domain does, with its name
   */
  constructor(
    call: string,
    whole: Internals,
    pass: Pass,
    groups: readonly Group[],
    options: ForwardOptions,
    isFirst: boolean,
  ) {
    const { shape } = pass
    this.#whole = whole
    this.#pass = pass
    this.length = product(shape.slice(1))
    this.parts = groups.map((group) => {
      const { rows, module } = group
      const input = this.#rowsOf(rows, pass.input)
      const tensorOf = (data: Values) => ({ data, shape: [rows.count, ...shape.slice(1)], dtype: pass.type })
      const flagsOf = (name: 'mask' | 'lengths' | 'weights') =>
        options[name] && rows.flagsOf(name, options[name], shape[0])
      const own = {
        out: this.#isWrittenThere(rows) ? rows.viewOf(pass.output, this.length) : this.roomFor(rows),
        residual: pass.residual ? tensorOf(this.#rowsOf(rows, pass.residual)) : undefined,
        mask: flagsOf('mask'),
        lengths: flagsOf('lengths'),
        weights: flagsOf('weights'),
      }
      if (options.out !== undefined) {
        const { arrays } = module.channels()
        inDomain(group.name, () => assertAliasing(aliasing.forward, { out: pass.output }, arrays))
      }
      const started = inDomain(group.name, () => module.startForward(call, tensorOf(input), own, isFirst))
      return { ...group, input, pass: started }
    })
  }

  /** Does the work on this thread. */
  run<Data extends TensorData>(): Tensor<ResultData<Data>> {
    const undo = this.#undo()
    try {
      runSync(this.#steps())
    } catch (error) {
      undo()
      throw error
    }
    return this.#end()
  }

  /** Does it on another one. */
  async runAway<Data extends TensorData>(onlyReads: boolean): Promise<Tensor<ResultData<Data>>> {
    const { input, residual, output, outputIsNew } = this.#pass
    const read: (Values | PerChannel | null)[] = [input, residual]
    const written: (Values | PerChannel | null)[] = [outputIsNew ? null : output]
    for (const { pass } of this.parts) {
      read.push(pass.affine.weight, pass.affine.bias)
      if (pass.updatesRunning && pass.running)
        written.push(pass.running.mean.data, pass.running.variance.data)
    }
    const undo = this.#undo()
    const apart = [{ module: this.#whole, pass: this.#pass }, ...this.parts]
    const work = apart.reduce<() => Promise<void>>(
      (inner, { module, pass }) =>
        () =>
          module.whileBusy(() => module.channels().whilePending(pass, inner), onlyReads),
      () => runAsync(this.#steps(), read, written),
    )
    try {
      await work()
    } catch (error) {
      undo()
      throw error
    }
    return this.#end()
  }

  /** An array for what is computed of rows. */
  roomFor(rows: Rows): Values {
    return outputArray(rows.count * this.length, this.#pass.type as 'float32')
  }

  /** Gives up the copies of the input that no batch norm may need any more. */
  release(): void {
    for (const { module, rows, input } of this.parts) {
      if (!this.#isReadThere(rows) && module.channels().last?.input !== input) disposeOutput(input)
    }
  }

  *#steps(): Steps {
    for (const { name, pass } of this.parts) {
      if (hasWork(pass)) yield* stepsIn(name, pass.method.forward(pass))
    }
    for (const { rows, pass } of this.parts) {
      if (!this.#isWrittenThere(rows)) rows.scatter(pass.output, this.length, this.#pass.output)
    }
  }

  /** Makes it the last forward of all its modules. */
  #end<Data extends TensorData>(): Tensor<ResultData<Data>> {
    const y = endForward<Data>(this.#whole.channels(), this.#pass)
    for (const { rows, module, pass } of this.parts) {
      const { output, activation } = pass
      endForward(module.channels(), pass)
      // With an activation `backward` reads it.
      if (activation === null && !this.#isWrittenThere(rows)) disposeOutput(output)
    }
    return y
  }

  #undo(): () => void {
    const undos = this.parts.map(({ pass }) => pass.undo())
    return () => {
      for (const undo of undos) undo()
    }
  }

  #rowsOf(rows: Rows, array: Values): Values {
    return this.#isReadThere(rows)
      ? rows.viewOf(array, this.length)
      : rows.gather(array, this.length, this.roomFor(rows))
  }

  /** A result in the place of the input would leave `backward` without it. */
  #isReadThere(rows: Rows): boolean {
    return rows.areNeighbours && !this.#pass.inputIsGone
  }

  /** What others have is written when nothing can fail any more. */
  #isWrittenThere(rows: Rows): boolean {
    return rows.areNeighbours && this.#pass.outputIsNew
  }
}

function* stepsIn(name: string, steps: Steps): Steps {
  try {
    yield* steps
  } catch (error) {
    throw ofDomain(name, error)
  }
}
