/** A thread of `npm run soak`: one forward, or hashes of mixed operations for some milliseconds, with changing settings. */
import { parentPort, workerData } from 'node:worker_threads'
import {
  BatchNorm1d,
  setNumThreads,
  supportedInstructionSets,
  tensor,
  useInstructionSet,
} from '../lib/index.ts'
import { hashOfMixedOperations } from '../test/support/mixed-operations.ts'

if (workerData === 'once') {
  new BatchNorm1d(64).forward(tensor(new Float32Array(2 ** 17).fill(1), [2048, 64]))
} else {
  const deadline = Date.now() + Number(workerData)
  const sets = supportedInstructionSets()
  for (let round = 0; Date.now() < deadline; round++) {
    useInstructionSet(sets[round % sets.length])
    setNumThreads(1 + (round % 4))
    parentPort?.postMessage(hashOfMixedOperations())
  }
}
