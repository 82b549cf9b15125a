/**
 * The addon by itself. Called with wrong arguments, past all that stands before it: an error, where memory
 * would not be safe. Called by a worker that ends: the process goes on. Each case is a process of its own.
 */
import { spawnSync } from 'node:child_process'
import { describe, expect, test } from 'vitest'
import { loadAddon } from '../lib/backend/addon.ts'
import { describeNativeAvailability, natives } from './support/backends.ts'

/** What the calls below are written with. */
const prelude = `
  const addon = require(${JSON.stringify(natives.length > 0 ? loadAddon().file : null)})
  const floats = (length) => new Float32Array(length)
  const doubles = (length) => new Float64Array(length)`

/** What a process says, and how it ended. */
function outcome(code: string) {
  const { stdout, signal } = spawnSync(process.execPath, ['--eval', code], {
    encoding: 'utf8',
    timeout: 100_000,
  })
  return { said: stdout.trim(), signal }
}

function outcomeOf(call: string) {
  return outcome(`${prelude}
    const attempt = async () => console.log(await (${call}))
    attempt().catch((error) => console.log(error.constructor.name + ': ' + error.message))`)
}

/** Starts workers one after another: each says that it is there, and is terminated while it makes calls. */
function outcomeOfEnding(call: string) {
  const source = `${prelude}
    require('node:worker_threads').parentPort.postMessage('here')
    for (;;) { try { ${call} } catch {} }`
  return outcome(`
    const { once } = require('node:events')
    const { Worker } = require('node:worker_threads')
    const end = async () => {
      for (let count = 0; count < 12; count++) {
        const worker = new Worker(${JSON.stringify(source)}, { eval: true })
        await once(worker, 'message')
        await worker.terminate()
      }
      console.log('ended')
    }
    end()`)
}

const channel = 'doubles(1), doubles(1)'
const arrays = `floats(4), floats(4), ${channel}, null, null, true, floats(4), null, null`
const forward = (running: string) =>
  `0, 4, 1, 1, floats(4), 1e-5, 0.1, 0, null, null, ${running}, ${channel}, null, doubles(1), floats(4), null`

const refused: [what: string, call: string, expected: string][] = [
  ['no arguments', 'addon.forward()', '0 to be given'],
  ['no channel', 'addon.statistics(0, 4, 0, 1, floats(0), doubles(0), doubles(0), null)', 'with values'],
  ['no position', `addon.statistics(0, 4, 1, 0, floats(0), ${channel}, null)`, 'with values'],
  [
    'a product of sizes that 64 bits make 0',
    `addon.statistics(0, 2 ** 32, 1, 2 ** 32, floats(0), ${channel}, null)`,
    'with values',
  ],
  ['a size beyond 2^53', `addon.statistics(0, 2 ** 64, 1, 1, floats(0), ${channel}, null)`, '2 to be a size'],
  ['a negative size', `addon.statistics(0, -1, 1, 1, floats(1), ${channel}, null)`, '2 to be a size'],
  ['NaN as a size', 'addon.setNumThreads(NaN)', '1 to be a size'],
  [
    'a shorter array',
    `addon.statistics(0, 5, 1, 1, floats(4), ${channel}, null)`,
    '5 to be a Float32Array of',
  ],
  ['another array', `addon.statistics(1, 4, 1, 1, floats(4), ${channel}, null)`, '5 to be a Float64Array of'],
  [
    'numbers of a channel that are neither one nor all four',
    'addon.normalize(0, 4, 2, 1, floats(8), doubles(6), doubles(2), null, null, null, floats(8), null)',
    '6 to be a Float64Array of length 2',
  ],
  [
    'an activation without what it gave',
    `addon.backward(0, 4, 1, 1, ${arrays}, [1, 0, null, null])`,
    'what was activated',
  ],
  [
    'a running mean alone',
    `addon.forward(${forward('floats(1), null')})`,
    '12 to be null if the running mean',
  ],
  ['a running variance alone', `addon.forwardAsync(${forward('null, floats(1)')})`, '12 to be null if'],
]

const epilogue = '[1, 0, null, null]'
const made: [what: string, call: string][] = [
  [
    'normalize, activated',
    `addon.normalize(0, 4, 1, 1, floats(4), ${channel}, null, null, null, floats(4), ${epilogue})`,
  ],
  ['statisticsAsync', `addon.statisticsAsync(0, 4, 1, 1, floats(4), ${channel}, null)`],
  ['a refused call', 'addon.normalize()'],
  ['supportedInstructionSets', 'addon.supportedInstructionSets()'],
]

describeNativeAvailability()

describe.runIf(natives.length > 0)('the addon', () => {
  test.each(refused)('refuses %s', (_, call, expected) => {
    const { said, signal } = outcomeOf(call)
    expect(signal).toBeNull()
    expect(said).toMatch(/^TypeError: Expected argument \d+ to be /)
    expect(said).toContain(expected)
  })

  test.each(['forward', 'forwardAsync'])('%s leaves alone what is given too much', (name) => {
    const call = `addon.${name}(${forward('null, null')}, ...Array(5000).fill(floats(1)))`
    expect(outcomeOf(call)).toEqual({ said: 'true', signal: null })
  })

  test.each(made)('%s: a worker may end in the middle of it', (_, call) => {
    expect(outcomeOfEnding(call)).toEqual({ said: 'ended', signal: null })
  })
})
