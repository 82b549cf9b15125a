/** What can go wrong between workers. */
export type CollectiveErrorCode =
  /** A rank has ended, or cannot be reached. */
  | 'ERR_COLLECTIVE_PEER_LOST'
  /** Not all ranks came in time. */
  | 'ERR_COLLECTIVE_TIMEOUT'
  /** The ranks were in different operations. */
  | 'ERR_COLLECTIVE_MISMATCH'
  /** It was closed, or an error has ended it. */
  | 'ERR_COLLECTIVE_CLOSED'
  /** An engine is not built, or what it needs is not installed. */
  | 'ERR_COLLECTIVE_UNAVAILABLE'

/** An error of a `Collective`. All of its ranks get one, though not always of the same code. */
export class CollectiveError extends Error {
  /** `CollectiveError` */
  override readonly name = 'CollectiveError'
  /** What went wrong. */
  readonly code: CollectiveErrorCode

  constructor(code: CollectiveErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}
