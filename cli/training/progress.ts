import { Presets, SingleBar } from 'cli-progress'

/** Shows how a job goes: a bar on a terminal, a line for each milestone elsewhere. */
export interface ProgressDisplay {
  /** One step is done; `isMilestone` makes it a line where there is no bar. */
  step(text: string, isMilestone: boolean): void
  /** Leaves the terminal as it was. */
  stop(): void
}

/** @param steps of the whole job, to tell the time left */
export function createProgressDisplay(output: NodeJS.WriteStream, steps: number): ProgressDisplay {
  return output.isTTY ? bar(output, steps) : lines(output, steps)
}

/** The bar has what the time left and a text leave it: a terminal of 80 columns shows all three. */
const TEXT_WIDTH = 74
const BAR_WIDTHS = { least: 6, most: 24 }

function bar(output: NodeJS.WriteStream, steps: number): ProgressDisplay {
  const timeLeft = clockOf(steps)
  const { least, most } = BAR_WIDTHS
  const display = new SingleBar(
    {
      stream: output,
      format: '{bar} {text}',
      hideCursor: true,
      barsize: Math.min(Math.max(least, output.columns - TEXT_WIDTH), most),
      linewrap: false,
    },
    Presets.shades_classic,
  )
  display.start(steps, 0, { text: '' })
  return {
    step: (text) => display.increment(1, { text: `${timeLeft()} | ${text}` }),
    stop: () => display.stop(),
  }
}

function lines(output: NodeJS.WriteStream, steps: number): ProgressDisplay {
  const timeLeft = clockOf(steps)
  return {
    step: (text, isMilestone) => {
      const left = timeLeft()
      if (isMilestone) output.write(`${text} | ${left}\n`)
    },
    stop: () => {},
  }
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
