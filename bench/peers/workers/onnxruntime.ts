/**
 * ONNX Runtime, which has batch normalization for inference only: a model of one node, whose output
 * goes to an array that is kept. The packages are asked for by name, since this repository does not
 * install them.
 */
import { createRequire } from 'node:module'
import { type Call, type Inputs, type Peer, type Results, serve } from './protocol.ts'

const require = createRequire(import.meta.url)
const { InferenceSession, Tensor } = require('onnxruntime-node')
const { onnx } = require('onnx-proto')
const { version } = require('onnxruntime-node/package.json')
const { FLOAT } = onnx.TensorProto.DataType

class OnnxRuntime implements Peer {
  readonly title = `ONNX Runtime ${version}`
  #inputs: Inputs | undefined
  #y = new Float32Array(0)
  #calls = new Map<number, Call>()

  load(inputs: Inputs): void {
    this.#inputs = inputs
    this.#y = new Float32Array(inputs.x.length)
    this.#calls.clear()
  }

  async call(operation: string, threads: number): Promise<Call> {
    if (operation !== 'eval') throw new Error(`unknown operation ${operation}`)
    const made = this.#calls.get(threads) ?? (await this.#make(threads))
    this.#calls.set(threads, made)
    return made
  }

  async results(operation: string, threads: number): Promise<Results> {
    const call = await this.call(operation, threads)
    await call()
    return [this.#y]
  }

  async #make(threads: number): Promise<Call> {
    const inputs = this.#inputs as Inputs
    const session = await InferenceSession.create(modelOf(inputs), { intraOpNumThreads: threads })
    const feeds = { x: new Tensor('float32', inputs.x, inputs.shape) }
    const fetches = { y: new Tensor('float32', this.#y, inputs.shape) }
    return () => session.run(feeds, fetches)
  }
}

/** https://onnx.ai/onnx/operators/onnx__BatchNormalization.html */
function modelOf({ shape, extent, weight, bias, runningMean, runningVariance }: Inputs): Uint8Array {
  const tensorType = { elemType: FLOAT, shape: { dim: shape.map((dimValue) => ({ dimValue })) } }
  const constants = { weight, bias, runningMean, runningVariance }
  const initializer = Object.entries(constants).map(([name, values]) => ({
    name,
    dims: [extent.channels],
    dataType: FLOAT,
    floatData: values,
  }))
  const node = {
    opType: 'BatchNormalization',
    input: ['x', ...Object.keys(constants)],
    output: ['y'],
    attribute: [{ name: 'epsilon', type: onnx.AttributeProto.AttributeType.FLOAT, f: 1e-5 }],
  }
  const graph = {
    name: 'batch normalization',
    node: [node],
    input: [{ name: 'x', type: { tensorType } }],
    output: [{ name: 'y', type: { tensorType } }],
    initializer,
  }
  return onnx.ModelProto.encode({ irVersion: 8, opsetImport: [{ domain: '', version: 15 }], graph }).finish()
}

await serve(new OnnxRuntime())
