/** A process of load.test.ts: prints what an expression of JavaScript gives, or the error that it throws, as JSON. */
import * as batchnorm from '../../lib/index.ts'

const [expression] = process.argv.slice(2)

/** What an expression may name, beside what the library exports. */
const names = {
  ...batchnorm,
  batchnorm,
  attempt,
  active() {
    const { loadError, ...rest } = batchnorm.activeBackend()
    return { ...rest, loadError: loadError?.message }
  },
}

function attempt(call: () => unknown): unknown {
  try {
    return call()
  } catch (error) {
    const thrown = error as Error & { readonly cause?: Error }
    return { kind: thrown.constructor.name, message: thrown.message, cause: thrown.cause?.message }
  }
}

const evaluate = new Function(...Object.keys(names), `return (${expression})`)
console.log(JSON.stringify(attempt(() => evaluate(...Object.values(names)))))
