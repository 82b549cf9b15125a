/**
 * The call as everyone writes it first, `y = bn.forward(x)` with neither `out` nor `dispose`, against
 * the same with `out`: `npm run bench:plain-call`. What new outputs cost the collector and the
 * operating system is part of a call, so a turn's time is divided by its calls: no call is left out.
 */
import { setImmediate } from 'node:timers/promises'
import { Command, Option } from 'commander'
import { median, ratio, threeDigits } from '../cli/measure/numbers.ts'
import { bytesOf, elementsOf, nameOf } from '../cli/measure/shapes.ts'
import { afterFirst, formatTable } from '../cli/table.ts'
import { activeBackend, BatchNorm1d, setNumThreads, type Tensor, tensor, useBackend } from '../lib/index.ts'
import type { Shape } from '../lib/tensor/shape.ts'
import { type Figure, goalsTable, worstGoal } from './goals.ts'
import { describeProcessor, processorLine } from './processor.ts'
import { saveSection } from './results.ts'

/** From 8 KB to 8 MB. */
const shapes: readonly Shape[] = [
  [32, 64],
  [128, 128],
  [128, 256],
  [1000, 128],
  [1024, 256],
  [4096, 256],
  [8192, 256],
]
const operations = ['forward', 'backward'] as const
/** A loop that nothing interrupts, and one that lets the event loop turn. */
const loops = ['synchronous', 'with turns'] as const
const callsBetweenTurns = 16
const outputs = ['out', 'plain', 'dispose'] as const

const rounds = 5
/** Milliseconds of a turn, and before it, for the memory to be as it is after many calls. */
const [measured, warmUp] = [150, 50]
const mostOfOut = 1.3

interface Measurement {
  readonly shape: Shape
  readonly operation: (typeof operations)[number]
  readonly loop: (typeof loops)[number]
  readonly output: (typeof outputs)[number]
  /** A call, the median of the rounds. */
  readonly microseconds: number
  /** The median of the rounds' ratios. */
  readonly timesOut: number
  /** The most that the process had after a turn. */
  readonly residentMiB: number
}

const { filter, save } = new Command('npm run bench:plain-call --')
  .description('Measures calls whose outputs are new and just dropped against calls with `out`, one thread.')
  .option('--filter <text>', "only what contains this, such as '(1000, 128)' or 'forward'", '')
  .addOption(
    new Option('--save', "keep the figures in this processor's results file")
      .default(false)
      .conflicts('filter'),
  )
  .allowExcessArguments(false)
  .parse()
  .opts<{ filter: string; save: boolean }>()
const { gc } = globalThis
if (gc === undefined) throw new Error('Node.js has to be started with --expose-gc')

useBackend('native')
setNumThreads(1)
const processor = describeProcessor()
const measurements: Measurement[] = []
for (const shape of shapes) measurements.push(...(await measure(shape)))
const goals = loops.map((loop) =>
  worstGoal(`plain call, ${loop} loop, in calls with out`, 'at most', mostOfOut, figuresOf(loop)),
)
const { instructionSet } = activeBackend()
process.stdout.write(
  `${processorLine(processor)}\n${instructionSet}, one thread: microseconds a call\n\n${table()}\n\n${goalsTable(goals)}\n`,
)
if (save) {
  const settings = { instructionSet, rounds, callsBetweenTurns }
  process.stderr.write(`Kept in ${saveSection('plainCall', { processor, settings, goals, measurements })}\n`)
}

async function measure(shape: Shape): Promise<Measurement[]> {
  const found: Measurement[] = []
  for (const operation of operations) {
    if (!titleOf(shape, operation).includes(filter)) continue
    process.stderr.write(`${titleOf(shape, operation)}\n`)
    const calls = callsOn(shape, operation)
    for (const loop of loops) {
      const times = { out: [] as number[], plain: [] as number[], dispose: [] as number[] }
      const resident = { out: 0, plain: 0, dispose: 0 }
      for (let round = 0; round < rounds; round++) {
        for (const output of outputs) {
          times[output].push(await turn(calls[output], loop))
          resident[output] = Math.max(resident[output], process.memoryUsage.rss() / 2 ** 20)
        }
      }
      for (const output of outputs) {
        found.push({
          shape,
          operation,
          loop,
          output,
          microseconds: Number(median(times[output]).toPrecision(4)),
          timesOut: Number(
            median(times[output].map((time, round) => time / times.out[round])).toPrecision(3),
          ),
          residentMiB: Math.round(resident[output]),
        })
      }
    }
  }
  return found
}

function callsOn(shape: Shape, operation: (typeof operations)[number]) {
  const values = Float32Array.from({ length: elementsOf(shape) }, (_, index) => Math.sin(index))
  const x = tensor(values, shape)
  const out = new Float32Array(values.length)
  const module = new BatchNorm1d(shape[1])
  module.forward(x)
  const call = (options?: { out: Float32Array }): Tensor => module[operation](x, options)
  return {
    out: () => call({ out }),
    plain: () => call(),
    dispose: () => call().dispose(),
  }
}

/** Microseconds a call. Begins without the garbage of the turn before. */
async function turn(call: () => unknown, loop: (typeof loops)[number]): Promise<number> {
  gc?.()
  await setImmediate()
  await callFor(warmUp)
  const begin = performance.now()
  const calls = await callFor(measured)
  return ((performance.now() - begin) * 1000) / calls

  async function callFor(milliseconds: number): Promise<number> {
    const end = performance.now() + milliseconds
    let calls = 0
    while (performance.now() < end) {
      for (let index = 0; index < callsBetweenTurns; index++) call()
      calls += callsBetweenTurns
      if (loop === 'with turns') await setImmediate()
    }
    return calls
  }
}

function figuresOf(loop: (typeof loops)[number]): Figure[] {
  return measurements
    .filter((each) => each.loop === loop && each.output === 'plain')
    .map(({ shape, operation, timesOut }) => ({ name: titleOf(shape, operation), value: timesOut }))
}

function table(): string {
  const titles = loops.flatMap((loop) => [`${loop}: out`, 'plain', 'dispose', 'plain / out', 'MiB'])
  const cases = measurements.filter(({ loop, output }) => loop === loops[0] && output === 'out')
  const rows = cases.map(({ shape, operation }) => [
    `${titleOf(shape, operation)}, ${Math.round(bytesOf(shape) / 1024)} KiB`,
    ...loops.flatMap((loop) => {
      const [out, plain, dispose] = outputs.map((output) =>
        measurements.find(
          (each) =>
            each.shape === shape &&
            each.operation === operation &&
            each.loop === loop &&
            each.output === output,
        ),
      ) as [Measurement, Measurement, Measurement]
      return [
        ...[out, plain, dispose].map(({ microseconds }) => threeDigits(microseconds)),
        ratio(plain.timesOut),
        String(plain.residentMiB),
      ]
    }),
  ])
  return formatTable(['', ...titles], rows, afterFirst)
}

function titleOf(shape: Shape, operation: string): string {
  return `${nameOf(shape)} ${operation}`
}
