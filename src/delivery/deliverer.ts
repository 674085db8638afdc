/**
 * Final delivery of one message to its recipients: to each what his filter says, and one copy on the disk for all who get the same octets.
 *
 * What a maintainer could break: a fate is told when everything that it tells of is durable, never before; what is remembered of a message
 * is so after that, and a recipient's trouble is nobody else's.
 */
import { createHash, type Hash } from 'node:crypto'
import type { Clock } from '../base/clock.ts'
import { StoreError } from '../base/errors.ts'
import type { Log } from '../base/log.ts'
import type { Account, SharedMessage, Store } from '../store/types.ts'
import { Duplicates } from './duplicates.ts'
import { failedFate } from './failure.ts'
import { findInjected } from './injected.ts'
import { MessageFields } from './message-fields.ts'
import { openInbox, Placer } from './placer.ts'
import { traceFields } from './trace.ts'
import type {
  Decision,
  Deliverer,
  Fate,
  Filter,
  Incoming,
  IncomingMessage,
  MessageTrack,
  Recipient,
  Transaction,
} from './types.ts'

export interface DeliveryOptions {
  /** A message above so many octets goes to the disk as it comes. LMTP-08 */
  readonly memoryOctets: number
  /** Makes a missing INBOX. LMTP-07 */
  readonly autocreate: boolean
  /** Else over quota is a permanent failure. LMTP-04 */
  readonly isOverQuotaTemporary: boolean
  /** LMTP-05 */
  readonly suppressesDuplicates: boolean
}

export interface DeliveryParts {
  readonly store: Store
  readonly clock: Clock
  readonly log: Log
  /** In Received. */
  readonly hostName: string
  /** Those in force now. */
  readonly options: () => DeliveryOptions
  readonly track: MessageTrack
  /** Without one everything goes to the mailbox that the recipient's address names. */
  readonly filter?: Filter
}

/** For the messages that come in at the same time: the more there are, the less of each stays in memory. */
const sharedMemoryOctets = 33_554_432

export function createDeliverer(parts: DeliveryParts): Deliverer {
  const duplicates = new Duplicates(parts.track, parts.log)
  const coming = new Set<Incoming>()
  return {
    begin: (transaction) => new IncomingDelivery(parts, duplicates, coming, transaction),
  }
}

class IncomingDelivery implements Incoming {
  private readonly parts: DeliveryParts
  private readonly options: DeliveryOptions
  private readonly duplicates: Duplicates
  private readonly coming: Set<Incoming>
  private readonly transaction: Transaction
  private readonly shared: SharedMessage
  /** Of the octets as they come. */
  private readonly hash: Hash = createHash('sha256')
  private readonly trace: Buffer
  private isTraced = false
  /** Why the message could not be taken, when that is not its recipients' fault. */
  private failure: unknown

  /** `coming`: those of the process; this one belongs to them until it is disposed. */
  constructor(parts: DeliveryParts, duplicates: Duplicates, coming: Set<Incoming>, transaction: Transaction) {
    this.parts = parts
    this.options = parts.options()
    this.duplicates = duplicates
    this.coming = coming.add(this)
    this.transaction = transaction
    const memoryOctets = Math.min(this.options.memoryOctets, Math.floor(sharedMemoryOctets / coming.size))
    this.shared = parts.store.share({ memoryOctets, near: () => this.anyAccount() })
    this.trace = traceFields(transaction, parts.hostName)
  }

  async write(chunk: Uint8Array): Promise<void> {
    // The rest of a message that could not be taken is read all the same: its sender is told in the end.
    if (this.failure !== undefined) return
    this.hash.update(chunk)
    try {
      if (!this.isTraced) await this.writeTrace()
      await this.shared.write(chunk)
    } catch (error) {
      this.failure = error
    }
  }

  async end(): Promise<readonly Fate[]> {
    const { recipients } = this.transaction
    try {
      if (this.failure !== undefined) throw this.failure
      if (!this.isTraced) await this.writeTrace()
      await this.shared.end()
      const fields = new MessageFields(await this.shared.read(0, headerLimit), this.trace.length)
      const digest = this.hash.digest('base64url')
      return await Promise.all(recipients.map((recipient) => this.deliverTo(recipient, fields, digest)))
    } catch (error) {
      const fate = failedFate(error, this.options.isOverQuotaTemporary)
      return recipients.map(() => fate)
    } finally {
      await this[Symbol.asyncDispose]()
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.coming.delete(this)
    await this.shared[Symbol.asyncDispose]()
  }

  private writeTrace(): void | Promise<void> {
    this.isTraced = true
    return this.shared.write(this.trace)
  }

  private async deliverTo(recipient: Recipient, fields: MessageFields, digest: string): Promise<Fate> {
    const { log } = this.parts
    const told = { id: this.transaction.id, to: recipient.address }
    try {
      return await this.follow(recipient, fields, digest)
    } catch (error) {
      if (!(error instanceof StoreError))
        log.log('err', 'a delivery failed', { ...told, error: error instanceof Error ? error.stack : String(error) })
      return failedFate(error, this.options.isOverQuotaTemporary)
    }
  }

  private async follow(recipient: Recipient, fields: MessageFields, digest: string): Promise<Fate> {
    const placer = this.placer(recipient, fields, digest)
    const injected = await findInjected(recipient.account, fields.header, this.parts.clock)
    if (injected !== undefined) {
      const { placing, message, isRepeated } = injected
      return isRepeated ? { kind: 'duplicate', mailbox: placing.mailbox } : await placer.store([placing], message)
    }
    const decision = await this.decide(recipient, fields)
    const { refusal, placings } = decision
    try {
      const fate: Fate = refusal === undefined ? await placer.store(placings) : { kind: 'refused', text: refusal.text }
      await decision.perform?.()
      await this.remember(decision)
      return fate
    } finally {
      decision.end?.()
    }
  }

  private placer(recipient: Recipient, fields: MessageFields, digest: string): Placer {
    const { parts, options, shared, duplicates, transaction, trace } = this
    const messageId = options.suppressesDuplicates ? fields.messageId : undefined
    // Without trace fields two attempts could make two files of one name.
    const isKnownAgain = transaction.trace !== undefined && fields.isUnmistakable
    return new Placer({
      store: parts.store,
      recipient,
      shared,
      headerOctets: fields.header.length,
      original: {
        digest,
        sizeOctets: shared.sizeOctets - trace.length,
        handed: isKnownAgain ? `${digest} ${transaction.sender} ${recipient.address}` : undefined,
      },
      autocreate: options.autocreate,
      receivedAt: transaction.receivedAt,
      duplicates: messageId === undefined ? undefined : { of: duplicates, messageId },
    })
  }

  private async decide(recipient: Recipient, { header }: MessageFields): Promise<Decision> {
    const kept: Decision = { placings: [{ mailbox: recipient.mailbox, flags: [], create: false }] }
    const { filter, log } = this.parts
    if (filter === undefined) return kept
    const { shared } = this
    const message: IncomingMessage = {
      sizeOctets: shared.sizeOctets,
      header,
      read: (start, end) => shared.read(start, end),
      stream: (start, end) => shared.stream(start, end),
    }
    try {
      return await filter(this.transaction, recipient, message)
    } catch (error) {
      log.log('err', 'a filter failed; the message is kept', {
        id: this.transaction.id,
        to: recipient.address,
        error: error instanceof Error ? error.stack : String(error),
      })
      return kept
    }
  }

  /** A mark that is lost costs a second answer; the message is safe. */
  private async remember({ tracked = [] }: Decision): Promise<void> {
    if (tracked.length === 0) return
    await this.parts.track.add(tracked).catch((error: unknown) => {
      this.parts.log.log('err', 'msgtrack_db could not be written', { error: String(error) })
    })
  }

  /** Beside whose mail a large message is collected. */
  private async anyAccount(): Promise<Account> {
    let failure: unknown
    for (const { account } of this.transaction.recipients) {
      try {
        const inbox = await openInbox(account, this.options.autocreate)
        await inbox.close()
        return account
      } catch (error) {
        failure = error
      }
    }
    throw failure
  }
}

/** Enough for what is asked of a header. */
const headerLimit = 131_072
