/**
 * This library from JavaScript, as a program uses it: `BatchNorm1d` with all its checks. Two words
 * tell how: the backend, and whether results go to arrays that are kept (`out`) or are new and just
 * dropped, as everyone writes it first (`plain`). `copy` is no batch normalization but a plain loop that copies x.
 */
import {
  activeBackend,
  BatchNorm1d,
  setNumThreads,
  type Tensor,
  tensor,
  useBackend,
} from '../../../lib/index.ts'
import { copyLoop } from '../../support/copy.ts'
import { type Call, type Inputs, type Peer, type Results, serve } from './protocol.ts'

const [backend, output] = process.argv.slice(2) as ['native' | 'typescript', 'out' | 'plain']
useBackend(backend)

class Library implements Peer {
  readonly title = ['this library from JavaScript', activeBackend().instructionSet ?? backend, output].join(
    ', ',
  )
  #calls: Record<string, Call> = {}
  #training = new BatchNorm1d(1)

  load({ extent, shape, x, gradOutput, weight, bias, runningMean, runningVariance }: Inputs): void {
    const state = {
      weight,
      bias,
      running_mean: runningMean,
      running_var: runningVariance,
      num_batches_tracked: 1,
    }
    const training = new BatchNorm1d(extent.channels)
    const evaluation = new BatchNorm1d(extent.channels).eval()
    training.loadStateDict(state)
    evaluation.loadStateDict(state)
    const input = tensor(x, shape)
    const gradient = tensor(gradOutput, shape)
    const toOutput = output === 'out' ? { out: new Float32Array(x.length) } : {}
    const toGradInput = output === 'out' ? { out: new Float32Array(x.length) } : {}
    const y = new Float32Array(x.length)
    training.forward(input)
    this.#training = training
    this.#calls = {
      forward: () => training.forward(input, toOutput),
      backward: () => training.backward(gradient, toGradInput),
      eval: () => evaluation.forward(input, toOutput),
      copy: () => copyLoop(x, y),
    }
  }

  call(operation: string, threads: number): Call {
    setNumThreads(threads)
    const call = this.#calls[operation]
    if (call === undefined) throw new Error(`unknown operation ${operation}`)
    return call
  }

  results(operation: string, threads: number): Results {
    this.#training.zeroGrad()
    const { data } = this.call(operation, threads)() as Tensor
    if (operation !== 'backward') return [data]
    return [data, ...this.#training.parameters().map(({ grad }) => grad)]
  }
}

await serve(new Library())
