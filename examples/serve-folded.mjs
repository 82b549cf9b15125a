// A checkpoint of PyTorch behind HTTP, its batch norms folded away, computed by two worker threads:
//
//     node serve-folded.mjs model/model.safetensors 8080
//     curl http://localhost:8080 --data '[[0.8, 0.5, 0.5, 0.5]]'       # rows of 4 numbers; the answer: rows of 3 logits
//
// The network, made by model/make.py: fc1, bn1, ReLU, fc2, bn2, ReLU, head.
import { createServer } from 'node:http'
import { json } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { BatchNorm1d, batchNormState, foldIntoPrevious, loadSafetensors, tensor } from 'batchnorm'

const inputs = 4

const [path = besideThis('model/model.safetensors'), port = 0] = process.argv.slice(2)
if (isMainThread) serve(path, Number(port))
else answer(workerData)

/** @param {string} path @param {number} port */
function serve(path, port) {
  const { plain, folded } = networksOf(path)
  const probe = Array.from({ length: 256 }, () => Array.from({ length: inputs }, Math.random))
  const [before, after] = [plain, folded].map((network) => run(network, probe).flat())
  const error = before.reduce((most, value, at) => Math.max(most, Math.abs(value - after[at])), 0)
  console.log(`largest error of folding, on 256 rows from 0 to 1: ${error}`)

  const workers = [1, 2].map(() => new Worker(new URL(import.meta.url), { workerData: path }))
  const waiting = new Map()
  for (const worker of workers) {
    worker.on('message', ({ id, logits }) => {
      waiting.get(id)(logits)
      waiting.delete(id)
    })
  }
  let count = 0
  const server = createServer(async (request, response) => {
    const rows = await json(request).catch(() => null)
    if (!areRows(rows)) {
      response.writeHead(400).end(`Expected rows of ${inputs} numbers\n`)
      return
    }
    const id = count++
    const logits = await new Promise((resolve) => {
      waiting.set(id, resolve)
      workers[id % workers.length].postMessage({ id, rows })
    })
    response.setHeader('content-type', 'application/json').end(`${JSON.stringify(logits)}\n`)
  })
  server.listen(port, () => {
    const address = server.address()
    if (typeof address === 'object') console.log(`listening on http://localhost:${address?.port}`)
  })
}

/** @param {string} name */
function besideThis(name) {
  return fileURLToPath(new URL(name, import.meta.url))
}

/** In a worker. @param {string} path */
function answer(path) {
  const { folded } = networksOf(path)
  parentPort?.on('message', ({ id, rows }) => parentPort?.postMessage({ id, logits: run(folded, rows) }))
}

/** @param {unknown} rows @returns {rows is number[][]} */
function areRows(rows) {
  const isRow = (/** @type {unknown} */ row) =>
    Array.isArray(row) && row.length === inputs && row.every(Number.isFinite)
  return Array.isArray(rows) && rows.every(isRow)
}

/**
 * A linear layer, and the batch norm behind it, if there is one.
 * @typedef {{ weight: import('batchnorm').Tensor, bias: import('batchnorm').Tensor, bn?: BatchNorm1d }} Layer
 */

/** The network as it was trained, and with its batch norms folded. @param {string} path */
function networksOf(path) {
  const file = loadSafetensors(path)
  /** @type {Layer[]} */
  const plain = ['1', '2', ''].map((number) => {
    const name = number === '' ? 'head' : `fc${number}`
    const [weight, bias] = ['weight', 'bias'].map((key) => float32(file.get(`${name}.${key}`)))
    return { weight, bias, bn: number === '' ? undefined : batchNormOf(file, `bn${number}`, bias.shape[0]) }
  })
  file.close()
  const folded = plain.map(({ bn, ...layer }) => (bn ? foldIntoPrevious(layer, bn).layer : layer))
  return { plain, folded }
}

/** @param {import('batchnorm').SafetensorsFile} file @param {string} prefix @param {number} features */
function batchNormOf(file, prefix, features) {
  const bn = new BatchNorm1d(features)
  bn.loadStateDict(batchNormState(file, prefix))
  return bn.eval()
}

/** @param {{ data: unknown }} values */
function float32(values) {
  if (values.data instanceof Float32Array) return /** @type {import('batchnorm').Tensor} */ (values)
  throw new TypeError('Expected a checkpoint of float32')
}

/** @param {Layer[]} network @param {number[][]} rows */
function run(network, rows) {
  return network.reduce((x, { weight, bias, bn }, at) => {
    const [outputs, width] = weight.shape
    const dot = (/** @type {number[]} */ row, /** @type {number} */ o) =>
      row.reduce((sum, value, i) => sum + value * weight.data[o * width + i], bias.data[o])
    const z = x.map((row) => Array.from({ length: outputs }, (_, o) => dot(row, o)))
    const y = bn ? normalized(bn, z) : z
    return at === network.length - 1 ? y : y.map((row) => row.map((value) => Math.max(0, value)))
  }, rows)
}

/** @param {BatchNorm1d} bn @param {number[][]} rows */
function normalized(bn, rows) {
  const { data } = bn.forward(tensor(rows))
  return rows.map((row, n) => [...data.subarray(n * row.length, (n + 1) * row.length)])
}
