import { Presets, SingleBar } from 'cli-progress'
import { percent } from './format.ts'
import type { Progress } from './training.ts'

/** Shows how the job goes: a bar on a terminal, a line for each epoch elsewhere. */
export interface ProgressDisplay {
  show(progress: Progress): void
  /** Leaves the terminal as it was. */
  stop(): void
}

/** @param steps of the whole job, to tell the time left */
export function createProgressDisplay(output: NodeJS.WriteStream, steps: number): ProgressDisplay {
  return output.isTTY ? bar(output, steps) : lines(output, steps)
}

function bar(output: NodeJS.WriteStream, steps: number): ProgressDisplay {
  const timeLeft = clockOf(steps)
  const display = new SingleBar(
    {
      stream: output,
      format: '{bar} {percentage} % | {text}',
      hideCursor: true,
      barsize: 24,
      linewrap: false,
    },
    Presets.shades_classic,
  )
  display.start(steps, 0, { text: '' })
  return {
    show: (progress) => display.increment(1, { text: `${describe(progress)} | ${timeLeft()}` }),
    stop: () => display.stop(),
  }
}

function lines(output: NodeJS.WriteStream, steps: number): ProgressDisplay {
  const timeLeft = clockOf(steps)
  return {
    show: (progress) => {
      const left = timeLeft()
      if (progress.testAccuracy !== undefined) output.write(`${describe(progress)} | ${left}\n`)
    },
    stop: () => {},
  }
}

function describe({ batchNorm, epoch, loss, accuracy, testAccuracy }: Progress): string {
  const test = testAccuracy === undefined ? [] : [`test ${percent(testAccuracy)}`]
  return [
    `batch norm ${batchNorm}`,
    `epoch ${epoch}`,
    `loss ${loss.toFixed(4)}`,
    `accuracy ${percent(accuracy)}`,
    ...test,
  ].join(' | ')
}

/** Counts a step at each call, and tells the time left if the others take as long. */
function clockOf(steps: number): () => string {
  const started = performance.now()
  let done = 0
  return () => {
    done++
    const seconds = ((performance.now() - started) / 1000 / done) * (steps - done)
    return `${Math.round(seconds)} s left`
  }
}
