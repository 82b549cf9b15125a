/**
 * `npm run fuzz`: cases made of random numbers, until the time is over, which the targets share. Each is its seed alone:
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
import { ends } from './ends.ts'
import type { Target } from './target.ts'

const targets: readonly Target[] = [calls, safetensors, onnx, ends]

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
const runs = chosen.map((target) => ({ ...target, seed: first, spent: 0 }))
for (;;) {
  const left = runs.filter(({ seed }) => seed < first + Number(values.cases))
  if (left.length === 0 || Date.now() >= deadline) break
  const next = left.reduce((least, each) => (each.spent < least.spent ? each : least))
  const start = performance.now()
  try {
    await next.run(new Random(next.seed))
  } catch (error) {
    console.error(error)
    console.error(`\nAgain: npm run fuzz -- --target ${next.name} --seed ${next.seed} --cases 1`)
    process.exit(1)
  }
  next.seed++
  next.spent += performance.now() - start
}
const { name, instructionSet } = activeBackend()
const counts = runs.map((run) => `${run.seed - first} of ${run.name}`).join(', ')
console.log(`Cases from seed ${first}: ${counts}; nothing found (${name} ${instructionSet ?? ''})`)
