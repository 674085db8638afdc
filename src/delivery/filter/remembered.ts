/**
 * What was done for a user before, as his scripts and what they ask for need it. From the first question to the end of the delivery it is his turn alone in this
 * process: a message for two of his addresses, or two messages at once, are sent on and answered once. RFC 5230 §4.2, RFC 7352 §3
 */
import type { Log } from '../../base/log.ts'
import type { MessageTrack, TrackedKind } from '../types.ts'

export class Remembered {
  readonly #track: MessageTrack
  readonly #log: Log
  /** Of each owner who has one, the end of the last turn. */
  readonly #turns = new Map<string, Promise<void>>()

  constructor(track: MessageTrack, log: Log) {
    this.#track = track
    this.#log = log
  }

  of(owner: string): Turn {
    return new Turn(owner, this.#track, this.#log, this.#turns)
  }
}

/** To be ended when what was decided is remembered, or failed. */
export class Turn {
  readonly owner: string
  readonly #track: MessageTrack
  readonly #log: Log
  readonly #turns: Map<string, Promise<void>>
  readonly #over = Promise.withResolvers<void>()
  #mine: Promise<void> | undefined

  constructor(owner: string, track: MessageTrack, log: Log, turns: Map<string, Promise<void>>) {
    this.owner = owner
    this.#track = track
    this.#log = log
    this.#turns = turns
  }

  /** Undefined: that can't be said now. */
  async knows(kind: TrackedKind, key: string): Promise<boolean | undefined> {
    this.#mine ??= this.#begin()
    await this.#mine
    try {
      return (await this.#track.find(kind, this.owner, key)) !== undefined
    } catch (error) {
      this.#log.log('err', 'msgtrack_db could not be read: what scripts did before is not known', {
        user: this.owner,
        error: String(error),
      })
      return undefined
    }
  }

  end(): void {
    this.#over.resolve()
  }

  #begin(): Promise<void> {
    const before = this.#turns.get(this.owner) ?? Promise.resolve()
    const turn = before.then(() => this.#over.promise)
    this.#turns.set(this.owner, turn)
    turn.then(() => {
      if (this.#turns.get(this.owner) === turn) this.#turns.delete(this.owner)
    })
    return before
  }
}
