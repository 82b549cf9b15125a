/** `npm run reproducibility`: one hash over 200 mixed operations, to compare with another machine's. */
import { activeBackend } from '../lib/index.ts'
import { hashOfMixedOperations } from './support/mixed-operations.ts'

const { name, instructionSet, threads } = activeBackend()
const backend = [name, instructionSet, `${threads} threads`].filter((part) => part !== null).join(', ')
console.log(`${hashOfMixedOperations()}  (${backend}; Node ${process.versions.node}, ${process.arch})`)
