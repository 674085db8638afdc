/**
 * GW-23: fetched messages go to a submission server, through the site's filters, and come back by local delivery. A message counts as taken when the
 * server took it and that is durable in the account's log; its mark makes it the message that was fetched when it comes back. Killed between the two,
 * the message is submitted again, and the mark keeps the second one out. docs/decisions/0200-submitted-messages-carry-a-mark.md
 */
import type { Clock } from '#src/base/clock.ts'
import { RemoteError } from '#src/base/errors.ts'
import { markField, markKey } from '#src/delivery/mark.ts'
import type { Submission } from '#src/submission/submission.ts'
import type { BodySink } from '../../backend/types.ts'
import { internalDateOf } from '../header.ts'
import { type HeldMessage, Holding } from './held.ts'
import { InFlight } from './in-flight.ts'
import type { Incoming, Injection, Injector, Target } from './injector.ts'
import { type Injected, Journal } from './journal.ts'
import { Postponed } from './postponed.ts'
import { Refused } from './refused.ts'

export interface SmtpInjectionParts {
  readonly submission: Submission
  /** MAIL FROM. */
  readonly sender: string
}

export const smtpInjection = (parts: SmtpInjectionParts, clock: Clock): Injection => ({
  into: (target) => new SmtpInjector(target, parts, clock),
})

class SmtpInjector implements Injector {
  readonly #target: Target
  readonly #submission: Submission
  readonly #sender: string
  readonly #clock: Clock
  readonly #journal: Journal
  readonly #inFlight = new InFlight()
  #key: Promise<Buffer> | undefined
  #submitted = 0
  #submittedOctets = 0
  readonly #postponed: Postponed
  readonly #refused: Refused

  constructor(target: Target, { submission, sender }: SmtpInjectionParts, clock: Clock) {
    this.#target = target
    this.#submission = submission
    this.#sender = sender
    this.#clock = clock
    this.#journal = new Journal(target.account, target.mailbox.id)
    this.#postponed = new Postponed(target.log)
    this.#refused = new Refused(target, this.#journal, clock)
  }

  get taken(): number {
    return this.#submitted + this.#refused.taken
  }

  get takenOctets(): number {
    return this.#submittedOctets + this.#refused.takenOctets
  }

  get postponed(): readonly string[] {
    return this.#postponed.origins
  }

  get leftAway(): number {
    return this.taken
  }

  open(message: Incoming, onAbort: () => void): BodySink {
    const holding = new Holding()
    return {
      write: (chunk) => {
        this.#inFlight.check()
        return holding.write(chunk)
      },
      // A server that lists a message and then sends nothing has not given it.
      end: () => (holding.sizeOctets === 0 ? onAbort() : this.#take(message, holding)),
      abort: () => {
        onAbort()
        this.#inFlight.add(0, holding.discard())
      },
    }
  }

  #take(message: Incoming, holding: Holding): void | Promise<void> {
    const work = holding.finish().then(async (held) => {
      try {
        await this.#submit(message, held)
      } finally {
        await held.release()
      }
    })
    return this.#inFlight.add(holding.sizeOctets, work)
  }

  async #submit(message: Incoming, held: HeldMessage): Promise<void> {
    const { account, mailbox } = this.#target
    const { origin, uidl, flags } = message
    const now = Math.floor(this.#clock.now() / 1_000)
    const internalDate = message.internalDate ?? internalDateOf(held.start, now)
    this.#key ??= markKey(account)
    const mark = { mailboxId: mailbox.id, origin, uidl, internalDate, flags: [...(flags ?? [])], submittedAt: now }
    const field = markField(mark, await this.#key)
    const verdict = await this.#submission.submit({
      sender: this.#sender,
      recipient: account.userId,
      sizeOctets: field.length + held.sizeOctets,
      isEightBit: held.isEightBit,
      async *chunks() {
        yield field
        yield* held.chunks()
      },
    })
    // As with all others: it is about the sender, or the user for whom all of them are.
    if (verdict.kind !== 'accepted' && verdict.about !== 'message')
      throw new RemoteError(`the submission server takes no mail now (submit_host, submit_port): ${verdict.reply}`, {
        retryable: true,
        serverText: verdict.reply,
      })
    if (verdict.kind === 'postponed') return this.#postponed.add(origin, 'the submission server', verdict.reply)
    this.#postponed.interrupt()
    if (verdict.kind === 'refused')
      return this.#refused.add({ ...message, internalDate }, held, 'the mail server of this site', verdict.reply)
    const injected: Injected = {
      submittedAt: now,
      ...(message.isCompared === true ? { digest: message.originalDigest ?? held.digest } : {}),
    }
    await this.#journal.record(origin, injected)
    this.#submitted++
    this.#submittedOctets += held.sizeOctets
  }

  async finish(): Promise<void> {
    try {
      await this.#inFlight.done()
    } finally {
      await this.#refused.settle()
    }
  }
}
