/** A process or thread of whole-files.test.ts: once told to, saves again and again, or dies in the middle of it. */
import { once } from 'node:events'
import { parentPort, workerData } from 'node:worker_threads'
import { writeWhole } from '../../lib/checkpoints/write.ts'
import { saveSafetensors, tensor } from '../../lib/index.ts'

const { pid } = process
// As in a container, where every first process is number 1.
if (parentPort === null) Object.defineProperty(process, 'pid', { value: 1 })

const [path, times, length] = (parentPort === null ? process.argv.slice(2) : workerData) as string[]

function* untilKilled() {
  yield new Uint8Array(100)
  process.kill(pid, 'SIGKILL')
}

if (times === 'killed') writeWhole(path, untilKilled())
const values = tensor(new Float32Array(Number(length)).fill(Number(length)), [Number(length)])
if (parentPort === null) {
  process.send?.('ready')
  await once(process, 'message')
  process.disconnect()
} else {
  parentPort.postMessage('ready')
  await once(parentPort, 'message')
}
for (let time = 0; time < Number(times); time++) saveSafetensors(path, { values })
