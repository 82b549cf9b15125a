/**
 * This library from JavaScript, as a program uses it: `BatchNorm1d` with all its checks. Two words
 * tell how: the backend, and whether results go to arrays that are kept (`out`) or to new ones
 * (`fresh`), each disposed of when the next one comes, as a tensor of PyTorch's is freed when its name
 * is bound again. `copy` is no batch normalization but a plain loop that copies x.
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

const [backend, output] = process.argv.slice(2) as ['native' | 'typescript', 'out' | 'fresh']
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
      forward: replacing(() => training.forward(input, toOutput)),
      backward: replacing(() => training.backward(gradient, toGradInput)),
      eval: replacing(() => evaluation.forward(input, toOutput)),
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

/** A call that disposes of its last result first, unless that lies in memory that is kept. */
function replacing(call: () => Tensor): Call {
  if (output === 'out') return call
  let last: Tensor | null = null
  return () => {
    last?.dispose()
    last = call()
    return last
  }
}

await serve(new Library())
