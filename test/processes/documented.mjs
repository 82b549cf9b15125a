/**
 * Runs programs of the documentation one after another, each a file of this folder that calls `claimed`, and writes
 * what each of them came to. It is copied beside them, where `batchnorm` is the package.
 */
import { readdirSync } from 'node:fs'
import { inspect } from 'node:util'

const log = console.log
console.log = () => {}

const plain = { depth: Infinity, breakLength: Infinity, maxArrayLength: null }
/** @param {unknown} value */
const textOf = (value) => (typeof value === 'string' ? value : inspect(value, plain))

/** @type {Record<string, { error: string | null, values: string[] }>} */
const results = {}
for (const name of readdirSync('.').filter((each) => each.endsWith('.program.mjs'))) {
  /** @type {string[]} */
  const values = []
  /** @type {(claim: number, evaluate: () => Promise<unknown[]>) => Promise<void>} */
  const claimed = async (claim, evaluate) => {
    const shown = await evaluate().then(
      (all) => all.map(textOf).join(' '),
      (error) => `${error.name}: ${error.message}`,
    )
    values[claim] = claim in values ? `${values[claim]}, then ${shown}` : shown
  }
  Object.assign(globalThis, { claimed })
  const error = await import(`./${name}`).then(
    () => null,
    (thrown) => String(thrown?.stack ?? thrown),
  )
  results[name] = { error, values }
}
log(JSON.stringify(results))
// A program may have left a server or a worker.
process.exit()
