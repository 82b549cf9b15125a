/**
 * `npm run fuzz`: cases made of random numbers, until the time is over. Each is its seed alone:
 *
 *     npm run fuzz                                    # an hour
 *     npm run fuzz -- --seconds 60 --seed 7           # from another first seed
 *     npm run fuzz -- --target calls --seed 123 --cases 1   # one case again
 */
import { parseArgs } from 'node:util'
import { activeBackend } from '../../lib/index.ts'
import { Random } from '../support/random.ts'
import { onnx, safetensors } from './bytes.ts'
import { calls } from './calls.ts'
import type { Target } from './target.ts'

const targets: readonly Target[] = [calls, safetensors, onnx]

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '3600' },
    seed: { type: 'string', default: '1' },
    cases: { type: 'string', default: 'Infinity' },
    target: { type: 'string' },
  },
})
const chosen = targets.filter(({ name }) => values.target === undefined || name === values.target)
if (chosen.length === 0)
  throw new RangeError(`Expected --target to be one of ${targets.map(({ name }) => name)}`)
// The warnings are asked for: variances that overflow, momenta by chance.
process.removeAllListeners('warning')

const first = Number(values.seed)
const deadline = Date.now() + 1000 * Number(values.seconds)
let seed = first
for (; seed < first + Number(values.cases) && Date.now() < deadline; seed++) {
  for (const { name, run } of chosen) {
    try {
      await run(new Random(seed))
    } catch (error) {
      console.error(error)
      console.error(`\nAgain: npm run fuzz -- --target ${name} --seed ${seed} --cases 1`)
      process.exit(1)
    }
  }
}
const { name, instructionSet } = activeBackend()
const titles = chosen.map((target) => target.name).join(', ')
console.log(
  `${seed - first} cases each of ${titles}, seeds ${first} to ${seed - 1}, nothing found (${name} ${instructionSet ?? ''})`,
)
