/** A process of async-exit.test.ts: `ending.ts SCENARIO DELAY`, each an end in the middle of asynchronous calls. */
import { once } from 'node:events'
import { setTimeout } from 'node:timers/promises'
import { BatchNorm1d, type Tensor, tensor } from '../../lib/index.ts'
import { difference } from '../support/bits.ts'
import { normal } from '../support/module.ts'
import { type Ending, endLater, workEndlessly } from './endless.ts'
import { startWorker } from './start-worker.ts'

const [scenario, delayText] = process.argv.slice(2)
const delay = Number(delayText)

/** A worker whose calls are under way, and a promise of the code that it will end with. */
async function workingWorker(ending: Ending | null) {
  const worker = startWorker('endless.ts', ending)
  const ended = once(worker, 'exit')
  await once(worker, 'message')
  return { worker, ended }
}

const input = normal([4096, 256], 1)
const expected = new BatchNorm1d(256).forward(input)

/** Says whether what comes after the ends still has the right bits. */
function say(what: string, { data }: Tensor): void {
  process.stdout.write(`${what}: ${difference(data, expected.data) ?? 'the same bits'}\n`)
}

const scenarios: Record<string, () => void | Promise<void>> = {
  'process.exit()': () => {
    workEndlessly()
    endLater({ delay, code: 7 })
  },
  'process.exit() while workers work': async () => {
    await Promise.all([workingWorker(null), workingWorker(null)])
    workEndlessly()
    endLater({ delay, code: 7 })
  },
  'process.exit() in workers': async () => {
    const workers = await Promise.all([3, 4].map((code) => workingWorker({ delay, code })))
    const codes = await Promise.all(workers.map(({ ended }) => ended))
    say(`workers ended with ${codes.join(', ')}`, new BatchNorm1d(256).forward(input))
  },
  'worker.terminate()': async () => {
    for (let time = 0; time < 3; time++) {
      const workers = await Promise.all([workingWorker(null), workingWorker(null)])
      await setTimeout(delay)
      const codes = await Promise.all(workers.map(({ worker }) => worker.terminate()))
      say(`workers ended with ${codes.join(', ')}`, await new BatchNorm1d(256).forwardAsync(input))
    }
  },
  'the last line': () => {
    const out = tensor(new Float32Array(input.data.length), input.shape)
    new BatchNorm1d(256).forwardAsync(input, { out })
    process.on('exit', () => say('at the end', out))
  },
}

await scenarios[scenario]()
