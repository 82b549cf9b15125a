import type { EventEmitter } from 'node:events'
import '@tensorflow/tfjs-backend-wasm'
import {
  getKernel,
  type KernelBackend,
  registerKernel,
  setBackend,
  type TensorInfo,
  unregisterKernel,
} from '@tensorflow/tfjs-core'

/** Makes TensorFlow.js compute in WebAssembly. To be called once. */
export async function startTensorFlow(): Promise<void> {
  await keepingErrorHandlers(() => setBackend('wasm'))
  transposeBeforeProducts()
}

/**
 * The gradients of a dense layer are products with a transposed matrix. The wasm backend's kernel for
 * those is ten times slower than a transposition and a plain product, 10 ms instead of 1 ms for
 * (784, 64) by (64, 256), so that is what it is given here.
 */
function transposeBeforeProducts(): void {
  const product = getKernel('BatchMatMul', 'wasm')
  const transpose = getKernel('Transpose', 'wasm')
  unregisterKernel('BatchMatMul', 'wasm')
  registerKernel({
    ...product,
    kernelFunc: ({ inputs, attrs, backend }) => {
      const { a, b } = inputs as Record<'a' | 'b', TensorInfo>
      const temporary: TensorInfo[] = []
      const plain = (x: TensorInfo, transposed: unknown): TensorInfo => {
        if (!transposed) return x
        const axes = x.shape.map((_, axis) => axis)
        const perm = [...axes.slice(0, -2), axes[axes.length - 1], axes[axes.length - 2]]
        const result = transpose.kernelFunc({ inputs: { x }, attrs: { perm }, backend }) as TensorInfo
        temporary.push(result)
        return result
      }
      const factors = { a: plain(a, attrs?.transposeA), b: plain(b, attrs?.transposeB) }
      const result = product.kernelFunc({
        inputs: factors,
        attrs: { transposeA: false, transposeB: false },
        backend,
      })
      for (const { dataId } of temporary) (backend as KernelBackend).disposeData(dataId)
      return result
    },
  })
}

/**
 * The wasm backend handles errors that nobody catches by throwing them once more. Node.js then prints
 * the line that did so, which is the whole of that minified file, in place of where the error was.
 * So what `start` adds to the handlers is removed.
 */
async function keepingErrorHandlers(start: () => Promise<unknown>): Promise<void> {
  const handlers: EventEmitter = process
  const events = ['uncaughtException', 'unhandledRejection']
  const before = events.map((event) => handlers.listeners(event))
  await start()
  for (const [index, event] of events.entries()) {
    for (const listener of handlers.listeners(event) as ((...args: unknown[]) => void)[]) {
      if (!before[index].includes(listener)) handlers.off(event, listener)
    }
  }
}
