import { StoreError } from '../base/errors.ts'
import type { Uid } from '../base/ids.ts'
import type { StoreContext } from './context.ts'
import { type Arriving, ArrivingMessage, fate, settleAll } from './delivery.ts'
import type { OpenMailbox } from './mailbox.ts'
import { SharedArrival } from './shared-arrival.ts'
import { StoredShared } from './shared-message.ts'
import type { Delivered, Delivery, MessageSink, NewMessage, SharedMessage } from './types.ts'

/** One delivery of any number of messages to one mailbox. */
export class MailboxDelivery implements Delivery {
  private readonly context: StoreContext
  private readonly mailbox: OpenMailbox
  private readonly messages: Arriving[] = []
  private over = false

  constructor(context: StoreContext, mailbox: OpenMailbox) {
    this.context = context
    this.mailbox = mailbox
  }

  add(message: NewMessage): MessageSink {
    const { context, mailbox } = this
    const { now, flags, known } = this.expected(message)
    const arriving = new ArrivingMessage(context, mailbox.directory, now, flags, known)
    this.messages.push(arriving)
    return arriving
  }

  addShared(message: NewMessage, shared: SharedMessage): void {
    if (!(shared instanceof StoredShared)) throw new Error('the message is of another store')
    const { context, mailbox } = this
    const { now, flags, known } = this.expected(message)
    this.messages.push(new SharedArrival(context, mailbox.directory, now, flags, known, shared))
  }

  /** The message as it comes into the mailbox, and what the mailbox knows of its origin unless that was only announced. */
  private expected(message: NewMessage) {
    if (this.over) throw new Error('the delivery is over')
    const { mailbox } = this
    const flags = mailbox.canonicalFlags(message.flags ?? [])
    const known = message.origin === undefined ? undefined : mailbox.known(message.origin)
    const announced = known?.present === true ? mailbox.announcedAs(known.uid) : undefined
    if (announced === undefined) return { now: message, flags, known }
    return { now: { ...message, ...announced }, flags, known: undefined }
  }

  async commit(): Promise<readonly Delivered[]> {
    if (this.over) throw new Error('the delivery is over')
    this.over = true
    const complete: Arriving[] = []
    try {
      // The name of a large message is known when all of it is on the disk; a small one gets there beside the change set.
      const unnamed = this.messages.filter(({ arrived }) => arrived === undefined)
      if (unnamed.length > 0) await this.mailbox.changing(settleAll(unnamed))
      for (const message of this.messages)
        if (message.isComplete) complete.push(message)
        else await message.remove()
    } catch (error) {
      await this.removeAll()
      throw error
    }
    complete.sort((a, b) => givenUid(a) - givenUid(b))
    await this.nameHashed()
    if (complete.length === 0) return this.messages.map((message) => fate(message, undefined))
    const durable = settleAll(complete)
    const areWritten = succeeds(durable)
    // While they wait for their turn at the disk, which others may have for long, no other change of the mailbox waits for them.
    await Promise.all(complete.map(({ begun }) => begun))
    try {
      return await this.commitAll(complete, durable)
    } catch (error) {
      const isRefused = error instanceof StoreError && (error.kind === 'invalid' || error.kind === 'limit')
      // Refused, or not written: it was not handed to the log. From any other failure on the files stay: a commit that seems to have failed may have been made.
      if (isRefused || !(await areWritten)) await this.removeAll()
      throw error
    }
  }

  private commitAll(complete: readonly Arriving[], durable: Promise<void>): Promise<readonly Delivered[]> {
    const { mailbox } = this
    const repeats = new Map<Arriving, Uid>()
    return mailbox.commit({
      files: {
        folder: `${mailbox.directory}/msg`,
        named: Promise.all(complete.map(({ named }) => named)),
        durable,
      },
      plan: () => {
        repeats.clear()
        return mailbox.plans.additions(this.toAdd(complete, repeats))
      },
      done: (outcomes) => {
        const added = complete.filter((arriving) => !repeats.has(arriving))
        const fates = new Map<Arriving, Delivered | undefined>(
          added.map((message, index) => [message, outcomes[index]?.delivered]),
        )
        for (const [message, repeatOf] of repeats) fates.set(message, { repeatOf })
        for (const [message, delivered] of fates)
          if (delivered !== undefined && !('uid' in delivered)) void message.remove()
          else if (delivered !== undefined && message.arrived?.made !== undefined) {
            const { digest, summary } = message.arrived.made
            mailbox.keepSummary({ uid: delivered.uid, digest }, summary)
          }
        return this.messages.map((message) => fate(message, fates.get(message)))
      },
    })
  }

  /** One after another, each when those before it are planned. Notes those that were handed over before. */
  private *toAdd(complete: readonly Arriving[], repeats: Map<Arriving, Uid>) {
    for (const arriving of complete) {
      const handed = arriving instanceof SharedArrival ? arriving.handed : undefined
      const uid = handed === undefined ? undefined : this.mailbox.plans.handedBefore(handed)
      if (uid !== undefined) {
        repeats.set(arriving, uid)
        continue
      }
      const { file, flags, message } = arriving.arrived!
      yield { file, flags, origin: message.origin, uidl: message.uidl, uid: message.uid }
    }
  }

  /** Duplicates of what is known by the hash of its origin alone tell the origin. */
  private async nameHashed(): Promise<void> {
    const named = this.messages.flatMap(({ duplicateOf, message: { origin, uidl } }) =>
      duplicateOf === undefined || origin === undefined ? [] : [{ origin, uidl }],
    )
    await this.mailbox.nameOrigins(named)
  }

  async abandon(): Promise<void> {
    if (this.over) return
    this.over = true
    await this.removeAll()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.abandon()
  }

  private async removeAll(): Promise<void> {
    await Promise.all(this.messages.map((message) => message.remove()))
  }
}

/** Those without come last. */
const givenUid = ({ message }: Arriving): number => message.uid ?? 2 ** 32

function succeeds(work: Promise<void>): Promise<boolean> {
  return work.then(
    () => true,
    () => false,
  )
}
