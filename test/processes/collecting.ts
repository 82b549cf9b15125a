/**
 * A process of async-exit.test.ts, run with `--expose-gc` and one thread for asynchronous work, so that
 * calls are done one after another. Long calls keep that thread busy; meanwhile garbage is collected,
 * when all references to the arrays of the calls behind them are those of the calls themselves.
 */
import { setImmediate } from 'node:timers/promises'
import { currentBackend } from '../../lib/backend/load.ts'
import { BatchNorm1d, type Tensor, tensor, useBackend } from '../../lib/index.ts'
import { difference } from '../support/bits.ts'
import { normal } from '../support/module.ts'

declare const gc: () => void

/** What the process says, as JSON. */
export interface Collected {
  /** How often garbage was collected while the calls waited. */
  readonly collections: number
  /** Whether every array was there after each of them. */
  readonly kept: boolean
  /** Whether none was, after the calls. */
  readonly released: boolean
  /** Of the one output that was held, to the right one. */
  readonly difference: string | null
}

const [rows, columns] = [4096, 256]
const length = rows * columns
// Shared memory is not copied first, so these calls have the thread at once.
const shared = new SharedArrayBuffer(4 * 16 * length)
const long = tensor(new Float32Array(shared).fill(1), [16 * rows, columns])

function input(): Tensor {
  return normal([rows, columns], 2)
}

/** A call of the backend of which everything is dropped but what is returned: its output. */
function callBackend(watch: (...arrays: object[]) => void): Float32Array {
  const x = input().data
  const y = new Float32Array(length)
  const moments = { count: 0, mean: new Float64Array(columns), m2: new Float64Array(columns) }
  const invstd = new Float64Array(columns)
  const settings = { eps: 1e-5, momentum: 0.1, nonFinite: 'propagate' } as const
  const extent = { outer: rows, channels: columns, inner: 1 }
  const affine = { weight: null, bias: null }
  currentBackend().forwardAsync(x, extent, settings, affine, null, moments, invstd, y)
  watch(x, moments.mean, moments.m2, invstd)
  return y
}

/** Calls of a module of which everything is dropped. */
function callModule(watch: (...arrays: object[]) => void): void {
  const module = new BatchNorm1d(columns)
  const [x, gradOutput] = [input(), input()]
  const [y, gradInput] = [new Float32Array(length), new Float32Array(length)]
  module.forward(x)
  module.backwardAsync(gradOutput, { out: gradInput })
  const other = new BatchNorm1d(columns)
  other.forwardAsync(x, { out: y })
  watch(x.data, gradOutput.data, y, gradInput)
}

/** Garbage is collected in a turn of its own, and other arrays take the place of what it was. */
async function collect(): Promise<void> {
  await setImmediate()
  gc()
  for (let count = 0; count < 4; count++) new Float32Array(length).fill(Number.NaN)
}

async function main(): Promise<Collected> {
  useBackend('native')
  const expected = new BatchNorm1d(columns).forward(input()).data
  const watched: WeakRef<object>[] = []
  const watch = (...arrays: object[]) => void watched.push(...arrays.map((array) => new WeakRef(array)))
  const areThere = () => watched.map((array) => array.deref() !== undefined)

  let isBusy = true
  const busy = Array.from({ length: 8 }, () => new BatchNorm1d(columns).forwardAsync(long))
  const idle = Promise.all(busy).then(() => {
    isBusy = false
  })
  const y = callBackend(watch)
  callModule(watch)
  let collections = 0
  let kept = true
  for (;;) {
    await collect()
    if (!isBusy) break
    collections++
    kept &&= areThere().every(Boolean)
  }
  await idle
  await new BatchNorm1d(columns).forwardAsync(input()) // behind all of them
  await collect()
  return { collections, kept, released: !areThere().some(Boolean), difference: difference(y, expected) }
}

process.stdout.write(JSON.stringify(await main()))
