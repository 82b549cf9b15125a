/**
 * A process of lost-memory.test.ts: the memory of an array goes while an asynchronous call is under way, and its
 * last owner with it: while copies are made, or before the kernel starts, which waits behind a pipe that is opened on
 * the one thread for such. Prints what came of each call, as JSON.
 */
import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, constants, mkdtempSync, openSync, rmSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import { BatchNorm1d, setNumThreads, type TensorLike, tensor, useBackend } from '../../lib/index.ts'
import { difference } from '../support/bits.ts'

declare const gc: () => void

const shape = [32768, 256] // 32 MiB: the system takes it back as soon as it is freed
const bytes = 4 * 32768 * 256

/** How memory goes. */
const ways: Record<string, (buffer: ArrayBuffer) => unknown> = {
  structuredClone: (buffer) => void structuredClone(buffer, { transfer: [buffer] }),
  transfer: (buffer: ArrayBuffer & { transfer?(): ArrayBuffer }) =>
    void (buffer.transfer?.() ?? structuredClone(buffer, { transfer: [buffer] })),
  'a thread that ends': async (buffer) => {
    const worker = new Worker('require("node:worker_threads").parentPort.once("message", () => {})', {
      eval: true,
    })
    worker.postMessage(buffer, [buffer])
    await once(worker, 'exit')
  },
  resize: (buffer: ArrayBuffer & { resize?(bytes: number): void }) => buffer.resize?.(4096),
}

/** Calls, and the array whose memory goes. */
const calls: Record<string, (module: BatchNorm1d, lost: TensorLike) => Promise<unknown>> = {
  'input of forwardAsync': (module, lost) => module.forwardAsync(lost),
  'input of forwardAsync in eval': (module, lost) => module.eval().forwardAsync(lost),
  'input of forwardAsync with virtualBatchSize': (_, lost) =>
    new BatchNorm1d(256, { virtualBatchSize: 8192 }).forwardAsync(lost),
  'out of forwardAsync': (module, lost) => module.forwardAsync(other, { out: lost }),
  'residual of forwardAsync': (module, lost) => module.forwardAsync(other, { residual: lost }),
  'input of recomputeAsync': (module, lost) => module.recomputeAsync(lost),
  'gradOutput of backwardAsync': (module, lost) => {
    module.forward(other)
    return module.backwardAsync(lost)
  },
  'input of backwardAsync': (module, lost) => {
    module.forward(lost)
    return module.backwardAsync(other)
  },
  'out of backwardAsync': (module, lost) => {
    module.forward(other)
    return module.backwardAsync(other, { out: lost })
  },
}

/** What came of one call. */
export interface Loss {
  readonly call: string
  readonly outcome: string
  /** Of a call after it, to the right bits. */
  readonly difference: string | null
}

// TypeScript's ArrayBuffer of these years has no options.
const Resizable = ArrayBuffer as unknown as new (bytes: number, options?: object) => ArrayBuffer

useBackend('native')
setNumThreads(1)
const [way, all] = process.argv.slice(2)
const other = tensor(new Float32Array(bytes / 4), shape)
for (let index = 0; index < other.data.length; index++) other.data[index] = (index * 0.618) % 1
const folder = mkdtempSync(join(tmpdir(), 'batchnorm-losing-'))
process.on('exit', () => rmSync(folder, { recursive: true }))
const pipe = join(folder, 'pipe')
execFileSync('mkfifo', [pipe])
const expected = new BatchNorm1d(256).forward(other).data
async function lose(call: string, turns: number): Promise<Loss> {
  const buffer = way === 'resize' ? new Resizable(bytes, { maxByteLength: bytes }) : new ArrayBuffer(bytes)
  const lost = { data: new Float32Array(buffer), shape }
  lost.data.set(other.data)
  const module = new BatchNorm1d(256)
  const reader = open(pipe)
  const outcome = calls[call](module, lost).then(
    () => 'resolved',
    (error: Error) => `${error.name}: ${error.message}`,
  )
  for (let turn = 0; turn < turns; turn++) await setImmediate()
  await ways[way](buffer)
  for (let turn = 0; turn < 3; turn++) {
    gc()
    await setImmediate()
  }
  // Reading and writing waits for nobody; from here on neither does the reader.
  const writer = openSync(pipe, constants.O_RDWR)
  await (await reader).close()
  closeSync(writer)
  const result = { call, outcome: await outcome }
  const after = await new BatchNorm1d(256).forwardAsync(other)
  return { ...result, difference: difference(after.data, expected) }
}

// Every call where the kernel waits, and one while its copy is made.
const [first, ...others] = Object.keys(calls)
const losses = [await lose(first, 1), await lose(first, 12)]
for (const call of all === 'all' ? others : []) losses.push(await lose(call, 12))
process.stdout.write(JSON.stringify(losses))
