/** What ends the command with one line on stderr and an exit code. */
export class Failure extends Error {
  readonly exitCode: number

  /** 2 for a command that was called wrongly, 1 for one that could not do its work. */
  constructor(message: string, exitCode: 1 | 2 = 1) {
    super(message)
    this.exitCode = exitCode
  }
}

/** Runs `work`; what it throws becomes a `Failure` with one line. */
export function orFail<Result>(work: () => Result): Result {
  try {
    return work()
  } catch (error) {
    throw failureOf(error)
  }
}

/** What anything that was thrown says. */
export function failureOf(error: unknown): Failure {
  if (error instanceof Failure) return error
  return new Failure(error instanceof Error ? error.message : String(error))
}
