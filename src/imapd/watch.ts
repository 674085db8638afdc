/**
 * Waits for news of the selected mailbox, from whoever: this process's commits, the event channel, and (events may be missed, or
 * mseventd be away) a look at the store at intervals.
 */

import { StoreError } from '../base/errors.ts'
import type { MailEvent } from '../events/types.ts'
import type { Session } from './session.ts'

/**
 * Between looks: news is to be told within 10 s. Whether events come is not asked: this process may hear mseventd while the one that writes, on another machine, does not,
 * and a cut link tells nobody. A look that finds nothing costs two calls of the file system.
 */
const lookMs = 9000

export class Watch implements Disposable {
  readonly #session: Session
  readonly #stop: (() => void)[] = []
  #pending = false
  #fault: unknown
  /** The last look failed: nothing more is to be logged. */
  #blind = false
  #resume: () => void = () => {}

  constructor(session: Session) {
    this.#session = session
    this.#stop.push(session.onNews(() => this.wake()))
    if (session.state !== 'selected' || session.interest?.selected.messages === false) return
    const { events } = session.services
    const look = () => this.#look()
    const { mailbox } = session.view
    let modSeq = mailbox.highestModSeq
    const changed = () => {
      // News without a change: the mailbox came to its end, which a look tells.
      if (mailbox.highestModSeq === modSeq) look()
      modSeq = mailbox.highestModSeq
      this.wake()
    }
    this.#stop.push(mailbox.onChange(changed))
    const heard = ({ name, fields }: MailEvent) => {
      if (name !== 'mailbox' || fields.mailbox === mailbox.name) look()
    }
    this.#stop.push(events.subscribe([session.topic], heard, look))
    const timer = setInterval(look, lookMs)
    this.#stop.push(() => clearInterval(timer))
  }

  /** Ends the wait that is on, or the next one. */
  wake(): void {
    this.#pending = true
    this.#resume()
  }

  /** Resolves when there may be something to tell. Rejects when the mailbox is gone for good. */
  async news(): Promise<void> {
    if (!this.#pending) await new Promise<void>((resolve) => (this.#resume = resolve))
    this.#pending = false
    if (this.#fault !== undefined) throw this.#fault
  }

  [Symbol.dispose](): void {
    for (const stop of this.#stop) stop()
  }

  /** A store that doesn't answer is looked at again: whoever idles sees none of its troubles. */
  #look(): void {
    const { view, log } = this.#session
    view.refresh().then(
      () => {
        this.#blind = false
      },
      (error: unknown) => {
        if (error instanceof StoreError) {
          if (!this.#blind)
            log.log('err', 'mailbox can not be looked at', { mailbox: view.mailbox.name, cause: error.message })
          this.#blind = true
          return
        }
        this.#fault = error
        this.wake()
      },
    )
  }
}
