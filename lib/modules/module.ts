import { refuseCloning } from '../checks/fixed-properties.ts'
import { assertReadable, assertWritable, isAnythingInFlight } from '../checks/in-flight.ts'
import { optionNames, optionsObject } from '../checks/options.ts'
import { boolean } from '../checks/scalars.ts'
import type { ParameterType } from '../tensor/data-type.ts'
import { Tensor, type TensorData } from '../tensor/tensor.ts'
import type { Parameter } from './parameter.ts'
import { type LoadedKeys, loadState, type State } from './state-dict.ts'

function cloneItsStateDictInstead() {}

const loadOptions = optionNames<{ strict?: boolean }>({ strict: true })

/**
 * What every module has: a mode, parameters and a state.
 * https://pytorch.org/docs/stable/generated/torch.nn.Module.html
 */
export abstract class Module<Type extends ParameterType = ParameterType> {
  #training = true
  /** How many asynchronous calls are under way, and how many of them only read. */
  #underWay = 0
  #reading = 0
  /** Whether arguments are being checked, which runs what a caller put there: getters, proxies. */
  #isChecking = false

  constructor() {
    refuseCloning(this, cloneItsStateDictInstead)
  }

  /** Whether the module is in training mode, the one it starts in; see `train` and `eval`. */
  get training(): boolean {
    return this.#training
  }

  set training(training: boolean) {
    this.#training = boolean('training', training)
  }

  /** Training mode, or eval mode for `false`. */
  train(mode = true): this {
    this.training = boolean('mode', mode)
    return this
  }

  /** Eval mode. */
  eval(): this {
    return this.train(false)
  }

  /** What an optimizer moves, with its names. */
  abstract namedParameters(): [name: string, parameter: Parameter<Type>][]

  /** Everything that is learned, under PyTorch's keys. */
  protected abstract state(): Map<string, Tensor<TensorData>>

  /** As PyTorch prints a module. */
  abstract toString(): string

  /** What an optimizer moves. */
  parameters(): Parameter<Type>[] {
    return this.namedParameters().map(([, parameter]) => parameter)
  }

  /** Sets the gradients to 0. */
  zeroGrad(): void {
    this.assertIdle('zeroGrad()')
    for (const parameter of this.parameters()) parameter.grad.fill(0)
  }

  /**
   * A copy of everything that is learned, under PyTorch's keys. Unlike PyTorch's it does not follow
   * the module: it can be kept, or written, while training goes on.
   */
  stateDict(): Record<string, Tensor<TensorData>> {
    this.assertIdle('stateDict()')
    const copies = [...this.state()].map(([key, { data, shape, dtype }]) => [
      key,
      new Tensor(data.slice(), shape, dtype),
    ])
    return Object.fromEntries(copies)
  }

  /** `stateDict()`: `JSON.stringify(module)` writes what `loadStateDict` reads. */
  toJSON(): Record<string, Tensor<TensorData>> {
    return this.stateDict()
  }

  /**
   * Copies a state dict into this module, all or nothing. A value is a tensor, or an array of numbers
   * (typed or not); `num_batches_tracked` may also be a number or a bigint. A state dict that went through
   * JSON, `structuredClone` or `postMessage` is one too.
   *
   * @param options - `strict`: whether missing and unexpected keys are errors, default true
   * @returns the missing and the unexpected keys, which without `strict` are left alone
   * @throws TypeError for what is not a state dict; RangeError that names all missing and unexpected keys and
   * those of a wrong shape or type
   */
  loadStateDict(state: State, options: { strict?: boolean } = {}): LoadedKeys {
    const { strict = true } = optionsObject(options, loadOptions)
    boolean('strict', strict)
    return this.whileChecking('loadStateDict(state)', false, () => {
      return loadState(this.toString(), state, this.state(), strict)
    })
  }

  /**
   * Throws while an asynchronous call of this module is under way, which reads and writes the state, or
   * one of another module that was given an array of this one.
   *
   * @param onlyReads - whether this call and others of its kind may be under way at once
   */
  protected assertIdle(call: string, onlyReads = false): void {
    if (this.#isChecking) {
      throw new TypeError(
        `Expected ${call} after the last call had ended but received it from a getter of what that call was given ` +
          '(give it plain values)',
      )
    }
    if (this.#underWay > (onlyReads ? this.#reading : 0)) {
      throw new TypeError(
        `Expected ${call} after the last asynchronous call had ended but received it before (await that call first)`,
      )
    }
    if (!isAnythingInFlight()) return
    const assertFree = onlyReads ? assertReadable : assertWritable
    for (const [key, { data }] of this.state()) assertFree(key, data)
    if (onlyReads) return
    for (const [name, { grad }] of this.namedParameters()) assertWritable(`${name}.grad`, grad)
  }

  /** `assertIdle`, and keeps other calls out while `check` reads what this one was given. */
  protected whileChecking<Result>(call: string, onlyReads: boolean, check: () => Result): Result {
    this.assertIdle(call, onlyReads)
    this.#isChecking = true
    try {
      return check()
    } finally {
      this.#isChecking = false
    }
  }

  /** Keeps other calls out until `work` is done, but for those that only read where it does. */
  protected async whileBusy<Result>(work: () => Promise<Result>, onlyReads = false): Promise<Result> {
    this.#underWay++
    if (onlyReads) this.#reading++
    try {
      return await work()
    } finally {
      this.#underWay--
      if (onlyReads) this.#reading--
    }
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return this.toString()
  }
}
