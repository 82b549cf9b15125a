import { quoted } from '../../checks/errors.ts'

/** Does what belongs to one domain; an error about an argument says of which. */
export function inDomain<Result>(name: string, work: () => Result): Result {
  try {
    return work()
  } catch (error) {
    throw ofDomain(name, error)
  }
}

/** An error that names the domain. */
export function ofDomain(name: string, error: unknown): unknown {
  const Kind = [RangeError, TypeError].find((each) => error instanceof each)
  if (Kind === undefined) return error
  return new Kind(`In domain ${quoted(name)}: ${(error as Error).message}`, { cause: error })
}

/** The same of a promise. */
export async function inDomainAsync<Result>(name: string, result: Promise<Result>): Promise<Result> {
  try {
    return await result
  } catch (error) {
    throw ofDomain(name, error)
  }
}
