/** Stores one recipient's message where it is to go. */
import { createHash } from 'node:crypto'
import { StoreError, type StoreErrorKind } from '../base/errors.ts'
import type { Uid } from '../base/ids.ts'
import type { Account, Mailbox, NewMessage, SharedMessage, Store } from '../store/types.ts'
import type { Duplicates } from './duplicates.ts'
import type { Fate, Placing, Recipient } from './types.ts'

/** What was handed over, to know it again. */
export interface Original {
  /** SHA-256 of the octets, base64url. */
  readonly digest: string
  readonly sizeOctets: number
  /** See `NewMessage.handed`; undefined for what nobody would know again. */
  readonly handed: string | undefined
}

export interface PlacerParts {
  readonly store: Store
  readonly recipient: Recipient
  /** The message as everybody gets it whose filter does not edit it; and the octets of its header. */
  readonly shared: SharedMessage
  readonly headerOctets: number
  readonly original: Original
  readonly autocreate: boolean
  /** Seconds since 1970. */
  readonly receivedAt: number
  /** Where duplicates are suppressed. */
  readonly duplicates: { readonly of: Duplicates; readonly messageId: string } | undefined
}

interface Target extends Pick<Placing, 'header' | 'body'> {
  readonly mailbox: Mailbox
  readonly flags: Set<string>
  /** The recipient's quota counts it. */
  readonly isOwn: boolean
}

/** Why a mailbox can't be used that a filter names: the message goes into the inbox. */
const unusable: readonly StoreErrorKind[] = ['not-found', 'invalid', 'limit', 'no-permission', 'already-exists']

export class Placer {
  private readonly parts: PlacerParts

  constructor(parts: PlacerParts) {
    this.parts = parts
  }

  /** `message`: what it is stored with unless it is new mail. Throws StoreError. */
  async store(placings: readonly Placing[], message?: NewMessage): Promise<Fate> {
    const { recipient, shared, receivedAt } = this.parts
    const targets = new Map<string, Target>()
    try {
      for (const placing of placings) await this.aim(placing, targets)
      const [first] = targets.values()
      if (first === undefined) return { kind: 'discarded' }
      const all = [...targets.values()]
      const work = () => Promise.all(all.map((target) => this.storeIn(target, message ?? { internalDate: receivedAt })))
      const own = all.filter(({ isOwn }) => isOwn).length
      // What was fetched is in the backend's mailbox, and would be fetched for ever: quotas are not for it.
      const isCounted = message === undefined && own > 0
      const uids = isCounted ? await recipient.adding(shared.sizeOctets * own, work) : await work()
      const places = all.flatMap(({ mailbox }, index) => {
        const uid = uids[index]
        return uid === undefined ? [] : [{ mailbox: mailbox.name, uid }]
      })
      return places.length > 0 ? { kind: 'stored', places } : { kind: 'duplicate', mailbox: first.mailbox.name }
    } finally {
      for (const { mailbox } of targets.values()) await mailbox.close()
    }
  }

  /** Once for each mailbox, whatever names it was given. RFC 5228 §2.10.3 */
  private async aim(placing: Placing, targets: Map<string, Target>): Promise<void> {
    const { mailbox, isOwn } = await this.open(placing)
    const { flags, header, body } = placing
    const known = targets.get(mailbox.id)
    if (known === undefined) {
      const edited = { ...(header === undefined ? {} : { header }), ...(body === undefined ? {} : { body }) }
      targets.set(mailbox.id, { mailbox, isOwn, flags: new Set(flags), ...edited })
      return
    }
    for (const flag of flags) known.flags.add(flag)
    await mailbox.close()
  }

  private async open({ mailbox: name, create, account: other }: Placing) {
    const { account, userId } = this.parts.recipient
    try {
      if (other !== undefined) return { mailbox: await other.open(name), isOwn: false }
      if (name !== 'INBOX')
        return { mailbox: await (create ? openOrCreate(account, name) : account.open(name)), isOwn: true }
    } catch (error) {
      // Also one that was removed a moment ago, and a name that no mailbox can have.
      if (!(error instanceof StoreError) || !unusable.includes(error.kind)) throw error
    }
    return { mailbox: await openInbox(account, this.parts.autocreate || userId === undefined), isOwn: true }
  }

  /** Undefined: the mailbox has, or had, the message. */
  private async storeIn(target: Target, message: NewMessage): Promise<Uid | undefined> {
    const { duplicates, recipient } = this.parts
    const add = () => this.add(target, message)
    if (duplicates === undefined) return await add()
    const owner = recipient.userId ?? recipient.account.userId
    return await duplicates.of.once(owner, `${target.mailbox.id} ${duplicates.messageId}`, add)
  }

  private async add({ mailbox, flags, header, body }: Target, message: NewMessage): Promise<Uid | undefined> {
    const { shared, original } = this.parts
    await using edited = header === undefined ? undefined : await this.edited(header, body)
    const octets = edited ?? shared
    const plain = { ...message, flags }
    const { handed } = original
    let delivered = await deliver(mailbox, handed === undefined ? plain : { ...plain, handed }, octets)
    if ('repeatOf' in delivered && !(await this.isSame(mailbox, delivered.repeatOf)))
      delivered = await deliver(mailbox, plain, octets)
    return 'uid' in delivered ? delivered.uid : undefined
  }

  /** One that has the same name may be another one, once in a long time. What left, or was edited, can't be compared. */
  private async isSame(mailbox: Mailbox, uid: Uid): Promise<boolean> {
    const { sizeOctets, digest } = this.parts.original
    const record = mailbox.byUid(uid)
    if (record === undefined) return true
    await using content = await mailbox.content(record)
    const hash = createHash('sha256')
    for await (const chunk of content.stream(Math.max(0, content.sizeOctets - sizeOctets))) hash.update(chunk)
    return hash.digest('base64url') === digest
  }

  private async edited(header: Buffer, body: Buffer | undefined): Promise<SharedMessage> {
    const { store, shared, headerOctets, recipient } = this.parts
    const edited = store.share({ memoryOctets: editedInMemory, near: async () => recipient.account })
    try {
      await edited.write(header)
      if (body !== undefined) await edited.write(body)
      else for await (const chunk of shared.stream(headerOctets)) await edited.write(chunk)
      await edited.end()
      return edited
    } catch (error) {
      await edited[Symbol.asyncDispose]()
      throw error
    }
  }
}

/** Of a message that was edited: above it goes to the disk as it is made. */
const editedInMemory = 262_144

async function deliver(mailbox: Mailbox, message: NewMessage, octets: SharedMessage) {
  await using delivery = mailbox.deliver()
  delivery.addShared(message, octets)
  const [delivered] = await delivery.commit()
  return delivered!
}

/** Throws StoreError not-found where there is none and none is made. LMTP-07 */
export async function openInbox(account: Account, autocreate: boolean): Promise<Mailbox> {
  try {
    return await account.open('INBOX')
  } catch (error) {
    if (!(error instanceof StoreError) || error.kind !== 'not-found') throw error
    if (!autocreate) throw new StoreError('not-found', 'The user has no INBOX, and none is made', { cause: error })
  }
  await account.ensure()
  return await account.open('INBOX')
}

async function openOrCreate(account: Account, name: string): Promise<Mailbox> {
  try {
    return await account.open(name)
  } catch (error) {
    if (!(error instanceof StoreError) || error.kind !== 'not-found') throw error
  }
  await account.create(name).catch((error: unknown) => {
    if (!(error instanceof StoreError) || error.kind !== 'already-exists') throw error
  })
  await account.subscribe(name)
  return await account.open(name)
}
