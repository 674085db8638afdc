/** Whether imapd or pop3d serves a user now, as mseventd knows it. */
import type { Clock } from '#src/base/clock.ts'
import type { UserId } from '#src/base/ids.ts'
import type { EventBus, MailEvent } from '#src/events/types.ts'

/** A session that was just admitted may not be announced yet; nor those of services that look for a restarted mseventd. */
const announceMs = 30_000

/** What the user's clients do is told to `onEvent`; `onChange`: somebody may have come or gone. */
export class Clients {
  readonly #userId: UserId
  readonly #events: EventBus
  readonly #clock: Clock
  readonly #onEvent: (event: MailEvent) => void
  readonly #onChange: () => void
  /** Who is here is known from then on only. */
  #unknownUntilMs = -Infinity
  #unsubscribe: (() => void) | undefined

  constructor(
    userId: UserId,
    events: EventBus,
    clock: Clock,
    onEvent: (event: MailEvent) => void,
    onChange: () => void,
  ) {
    this.#userId = userId
    this.#events = events
    this.#clock = clock
    this.#onEvent = onEvent
    this.#onChange = onChange
  }

  /** A client was let in, and nobody has said since that the last one is gone. */
  get expected(): boolean {
    return this.#unsubscribe !== undefined
  }

  /** A client is let in. */
  admit(): void {
    this.#waitForAnnouncements()
    this.#unsubscribe ??= this.#events.subscribe(
      [this.#userId, `mbox:${this.#userId}`],
      (event) => {
        if (event.topic === this.#userId) this.#onChange()
        else this.#onEvent(event)
      },
      () => {
        this.#waitForAnnouncements()
        this.#onChange()
      },
    )
  }

  #waitForAnnouncements(): void {
    this.#unknownUntilMs = this.#clock.monotonic() + announceMs
  }

  /** Whether one may be there. Asks mseventd; when that can't tell, yes. */
  async areHere(): Promise<boolean> {
    const found = await this.#announced()
    // While mseventd was asked, somebody may have been let in, or it may have been restarted.
    return found || this.#clock.monotonic() < this.#unknownUntilMs
  }

  async #announced(): Promise<boolean> {
    try {
      return (await this.#events.presences(this.#userId)).length > 0
    } catch {
      return true
    }
  }

  /** The last one is gone. */
  leave(): void {
    this.#unsubscribe?.()
    this.#unsubscribe = undefined
  }
}
