/** Keeps asynchronous calls on large tensors under way, in the main thread or a worker, until it is ended. */
import { parentPort, workerData } from 'node:worker_threads'
import { BatchNorm1d, type Tensor, tensor, useBackend } from '../../lib/index.ts'

/** When this thread ends itself, and with which code; never, unless told. */
export interface Ending {
  readonly delay: number
  readonly code: number
}

/** 16 MiB: a call takes milliseconds. */
const [rows, columns] = [16384, 256]
const data = new Float32Array(rows * columns).map((_, index) => index % 1021)
const input = tensor(data, [rows, columns])

/** Calls without end: one on the heels of another. */
async function repeat(call: () => Promise<Tensor>): Promise<never> {
  for (;;) await call()
}

/** Two calls are under way when this returns, and from then on. */
export function workEndlessly(): void {
  useBackend('native')
  const [forward, backward] = [new BatchNorm1d(columns), new BatchNorm1d(columns)]
  backward.forward(input)
  repeat(() => forward.forwardAsync(input))
  repeat(() => backward.backwardAsync(input))
}

export function endLater({ delay, code }: Ending): void {
  setTimeout(() => process.exit(code), delay)
}

if (parentPort !== null) {
  workEndlessly()
  parentPort.postMessage('working')
  if (workerData !== null) endLater(workerData)
}
