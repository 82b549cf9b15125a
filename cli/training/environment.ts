import { cpus } from 'node:os'
import { version_core } from '@tensorflow/tfjs-core'
import { activeBackend } from '../../lib/index.ts'

/** What a job ran on, as names and values. */
export function environment(): [name: string, value: string][] {
  const { name, instructionSet, threads } = activeBackend()
  const backend = instructionSet === null ? name : `${name}, ${instructionSet}, ${threads} threads`
  return [
    ['batchnorm backend', backend],
    ['TensorFlow.js', `${version_core}, wasm`],
    ['Node.js', process.version],
    ['processor', `${cpus()[0].model}, ${cpus().length} cores`],
  ]
}
