/**
 * Messages from a backend into a mailbox, streamed, in batches: while one batch is made durable the next is filled, and grows as long as
 * that takes. No more than these two are under way, so a slow disk holds the backend back instead of filling memory.
 */
import type { Clock } from '#src/base/clock.ts'
import type { Delivered, Delivery, Mailbox, MessageSink } from '#src/store/types.ts'
import type { BodySink } from '../../backend/types.ts'
import { headerLimit, internalDateOf } from '../header.ts'
import type { Incoming, Injection, Injector } from './injector.ts'

/** A batch is committed when it reaches one of these and no other is being committed. */
const batchMessages = 200
const batchOctets = 16 * 1_048_576
const batchMs = 5_000
/** At these the backend waits for the commit that is under way. */
const mostMessages = 1_000
const mostOctets = 64 * 1_048_576

/** A header that comes in more pieces than this is joined now and then: a single octet costs as much memory as a line. */
const headerPieces = 64
const nothing = Buffer.alloc(0)

/** Straight into the store. */
export const directInjection = (clock: Clock): Injection => ({
  into: ({ mailbox }) => new DirectInjector(mailbox, clock),
  keepsUids: true,
  storesAll: true,
})

export class DirectInjector implements Injector {
  readonly #mailbox: Mailbox
  readonly #clock: Clock
  #delivery: Delivery | undefined
  #messages = 0
  #octets = 0
  #startedMs = 0
  #committing: Promise<void> = Promise.resolve()
  #busy = false
  #failure: unknown
  taken = 0
  takenOctets = 0
  readonly leftAway = 0
  readonly postponed: readonly string[] = []

  constructor(mailbox: Mailbox, clock: Clock) {
    this.#mailbox = mailbox
    this.#clock = clock
  }

  /** Where INTERNALDATE has to come from the header, that is held back until it is complete. */
  open(message: Incoming, onAbort: () => void): BodySink {
    let header: Buffer[] = []
    /** Where the header's end is looked for: the last chunk, and before it what may be the beginning of an empty line. */
    let seen: Buffer = nothing
    let octets = 0
    let sink: MessageSink | undefined
    const begin = (): void | Promise<void> => {
      const start = header.length === 1 ? header[0]! : Buffer.concat(header)
      header = []
      sink = this.#add(message, start)
      return sink.write(start)
    }
    return {
      write: (chunk) => {
        octets += chunk.length
        if (sink !== undefined) return sink.write(chunk)
        if (header.length === headerPieces) header = [Buffer.concat(header)]
        header.push(chunk)
        seen = seen.length === 0 ? chunk : Buffer.concat([seen.subarray(-3), chunk])
        if (message.internalDate !== undefined || octets >= headerLimit || seen.includes('\r\n\r\n')) return begin()
      },
      end: () => {
        // A server that lists a message and then sends nothing has not given it.
        if (octets === 0) return onAbort()
        const written = sink === undefined ? begin() : undefined
        if (written instanceof Promise) return written.then(() => this.#end(sink!, octets))
        return this.#end(sink!, octets)
      },
      abort: () => {
        onAbort()
        Promise.resolve(sink?.abort()).catch((error: unknown) => {
          this.#failure ??= error
        })
      },
    }
  }

  #add({ origin, uidl, uid, internalDate, flags }: Incoming, start: Buffer): MessageSink {
    if (this.#failure !== undefined) throw this.#failure
    if (this.#delivery === undefined) {
      this.#delivery = this.#mailbox.deliver()
      this.#startedMs = this.#clock.monotonic()
    }
    return this.#delivery.add({
      internalDate: internalDate ?? internalDateOf(start, Math.floor(this.#clock.now() / 1_000)),
      origin,
      ...(uidl === undefined ? {} : { uidl }),
      ...(uid === undefined ? {} : { uid }),
      ...(flags === undefined ? {} : { flags }),
    })
  }

  #end(sink: MessageSink, octets: number): void | Promise<void> {
    const taken = sink.end()
    this.#messages++
    this.#octets += octets
    if (taken instanceof Promise) return taken.then(() => this.#rotate())
    return this.#rotate()
  }

  #rotate(): void | Promise<void> {
    if (this.#failure !== undefined) throw this.#failure
    const old = this.#clock.monotonic() - this.#startedMs >= batchMs
    if (this.#messages < batchMessages && this.#octets < batchOctets && !old) return
    if (!this.#busy) return this.#commit()
    if (this.#messages < mostMessages && this.#octets < mostOctets) return
    return this.#committing.then(() => this.#commit())
  }

  #commit(): void {
    const delivery = this.#delivery
    if (delivery === undefined) return
    const octets = this.#octets
    this.#delivery = undefined
    this.#messages = 0
    this.#octets = 0
    this.#busy = true
    const commit = this.#committing.then(async () => {
      if (this.#failure !== undefined) return delivery.abandon()
      try {
        const fates: readonly Delivered[] = await delivery.commit()
        this.taken += fates.filter((fate) => 'uid' in fate).length
        this.takenOctets += octets
      } catch (error) {
        this.#failure ??= error
      }
      if (this.#committing === commit) this.#busy = false
    })
    this.#committing = commit
  }

  /** Resolves when everything that arrived whole is durable. Throws StoreError. */
  async finish(): Promise<void> {
    this.#commit()
    await this.#committing
    if (this.#failure !== undefined) throw this.#failure
  }
}
