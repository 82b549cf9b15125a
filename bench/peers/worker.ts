import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import type { Extent } from '../../lib/backend/backend.ts'
import { type Contestant, columnOf, type Operation, productOf } from './contestants.ts'

export interface Timing {
  readonly microseconds: number[]
  /** What the worker wants to be known, such as the layout that oneDNN was fastest in. */
  readonly note?: string
}

/**
 * A process that measures one contestant when it is asked to, and sleeps otherwise, so that several
 * can take turns. Requests and answers are lines; `workers/protocol.h` tells them.
 */
export class Worker {
  readonly contestant: Contestant
  /** Whose speed it is: a name and a version, in the worker's own words. */
  readonly title: string
  readonly #process: ChildProcessWithoutNullStreams
  readonly #answers: AsyncIterator<string>

  private constructor(
    contestant: Contestant,
    title: string,
    process: ChildProcessWithoutNullStreams,
    answers: AsyncIterator<string>,
  ) {
    this.contestant = contestant
    this.title = title
    this.#process = process
    this.#answers = answers
  }

  /** @throws Error with what the process said last, if it does not start */
  static async start(contestant: Contestant): Promise<Worker> {
    const [command, ...words] = contestant.command
    const child = spawn(command, words, { env: { ...process.env, ...contestant.environment } })
    let complaint = ''
    child.stderr.on('data', (text) => {
      complaint = `${complaint}${text}`.slice(-4000)
    })
    // A process that died does not take requests; its silence is what is noticed.
    child.stdin.on('error', () => {})
    const failed = once(child, 'spawn').then(
      () => '',
      (error: Error) => error.message,
    )
    const answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
    const { value: title, done } = await answers.next()
    const error = await failed
    if (done) throw new Error(error || errorLine(complaint) || 'it ended without a word')
    return new Worker(contestant, title, child, answers)
  }

  /** `folder` lies within the contestant's root. */
  async load(folder: string, { outer, channels, inner }: Extent): Promise<void> {
    const { root = '' } = this.contestant
    await this.#ask(`load ${folder.slice(root.length)} ${outer} ${channels} ${inner}`)
  }

  async time(operation: Operation, threads: number, calls: number, samples: number): Promise<Timing> {
    const [numbers, note] = (await this.#ask(`time ${operation} ${threads} ${calls} ${samples}`)).split('#')
    return { microseconds: numbers.trim().split(' ').map(Number), ...(note && { note: note.trim() }) }
  }

  /** Every `stride`-th value of the large result, then all of the small ones. */
  async values(operation: Operation, threads: number, stride: number): Promise<number[]> {
    return (await this.#ask(`values ${operation} ${threads} ${stride}`)).trim().split(' ').map(Number)
  }

  /** With its version. */
  get product(): string {
    return productOf(this.contestant, this.title)
  }

  /** And with how it is used. */
  get column(): string {
    return columnOf(this.contestant, this.title)
  }

  async end(): Promise<void> {
    if (this.#process.exitCode !== null) return
    this.#process.stdin.end()
    await once(this.#process, 'exit')
  }

  async #ask(request: string): Promise<string> {
    this.#process.stdin.write(`${request}\n`)
    const { value: answer, done } = await this.#answers.next()
    if (done) throw new Error(`${this.title}: ended at: ${request}`)
    if (answer.startsWith('error')) throw new Error(`${this.title}: ${answer} at: ${request}`)
    return answer
  }
}

/** Of what a process said before it ended: the line that names the error, in Node.js's way or in Python's. */
function errorLine(text: string): string | undefined {
  const lines = text.trim().split('\n')
  return lines.find((line) => /^\w*Error( \[\w+\])?: /.test(line)) ?? lines.at(-1)
}
