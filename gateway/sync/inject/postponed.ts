/** Messages that came whole and that somebody on the way does not take now. */
import { RemoteError } from '#src/base/errors.ts'
import type { Log } from '#src/base/log.ts'

/** So many in a row: the others would be fetched for nothing. */
const mostInRow = 5

export class Postponed {
  readonly origins: string[] = []
  readonly #log: Log
  #inRow = 0

  constructor(log: Log) {
    this.#log = log
  }

  /** `who`: with article. Throws RemoteError when it takes none of several messages. */
  add(origin: string, who: string, reply: string): void {
    this.origins.push(origin)
    this.#log.log('warning', `${who} does not take a message now; it will be asked again`, { origin, reply })
    if (++this.#inRow >= mostInRow)
      throw new RemoteError(`${who} takes no messages now`, { retryable: true, serverText: reply })
  }

  /** One was taken. */
  interrupt(): void {
    this.#inRow = 0
  }
}
