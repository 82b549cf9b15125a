import { Worker } from 'node:worker_threads'

/** Runs a TypeScript file, named relative to this one, in a worker thread. */
export function startWorker(file: string, workerData: unknown): Worker {
  // Node 20 heeds no `--import tsx` for a worker's own file, so the worker registers tsx itself.
  const url = new URL(file, import.meta.url)
  const code = `import('tsx/esm/api').then(({ register }) => { register(); return import('${url}') })`
  return new Worker(code, { workerData, eval: true })
}
