/** What an account here has, as imapd and pop3d would show it, and where each message of an old server is in it. */
import { setImmediate } from 'node:timers/promises'
import { Slice } from '#gateway/backend/slice.ts'
import { defaultLimits, type Limits } from '#gateway/backend/types.ts'
import { type Injected, readInjected } from '#gateway/sync/inject/journal.ts'
import { isStub, stubOrigin } from '#gateway/sync/stub.ts'
import type { MailboxId, Uid } from '#src/base/ids.ts'
import type { Exception } from '#src/certificate/format.ts'
import { UniqueIds } from '#src/proto/pop3/uidl.ts'
import { copySource } from '#src/store/copy-origin.ts'
import type { Account, Mailbox, MessageRecord } from '#src/store/types.ts'
import type { MailboxThere } from './there.ts'

/** Where a message of the old server is, or why it is not here. */
export type Standing =
  | {
      readonly mailbox: Mailbox
      readonly record: MessageRecord
      /** As pop3d tells it; of POP3 backends. */
      readonly uidl?: string | undefined
      /** SHA-256 of what the old server gave, base64url, where something else was made of it. */
      readonly original?: string | undefined
    }
  | { readonly exception: Exception; readonly detail?: string }

const messagesPerTurn = 2_000

export class Here implements AsyncDisposable {
  readonly account: Account
  readonly #mailboxes: readonly Mailbox[]
  readonly #byId: ReadonlyMap<MailboxId, Mailbox>
  /** Copies of messages that left, by what they are copies of. */
  readonly #copies: ReadonlyMap<string, readonly { readonly mailbox: Mailbox; readonly uid: Uid }[]>
  readonly #messageOctets: number
  /** Messages of all mailboxes whose octets are here, without notices. */
  readonly messages: number

  private constructor(
    account: Account,
    mailboxes: readonly Mailbox[],
    { copies, messages }: Awaited<ReturnType<typeof lookThrough>>,
    limits: Limits,
  ) {
    this.account = account
    this.#mailboxes = mailboxes
    this.#byId = new Map(mailboxes.map((mailbox) => [mailbox.id, mailbox] as const))
    this.#copies = copies
    this.messages = messages
    this.#messageOctets = limits.messageOctets
  }

  /** Mailboxes stay open, at the state that they have now. Throws StoreError. */
  static async open(account: Account, limits: Limits = defaultLimits): Promise<Here> {
    const mailboxes: Mailbox[] = []
    try {
      for (const { name, selectable } of await account.list()) if (selectable) mailboxes.push(await account.open(name))
      for (const mailbox of mailboxes) await mailbox.refresh()
      return new Here(account, mailboxes, await lookThrough(mailboxes), limits)
    } catch (error) {
      for (const mailbox of mailboxes) await mailbox.close()
      throw error
    }
  }

  get mailboxes(): readonly Mailbox[] {
    return this.#mailboxes
  }

  byId(id: MailboxId | undefined): Mailbox | undefined {
    return id === undefined ? undefined : this.#byId.get(id)
  }

  /** For each position of a mailbox there. `pop3`: with unique-ids. */
  async standings(there: MailboxThere, url: string, pop3: boolean): Promise<(position: number) => Standing> {
    const mailbox = this.byId(there.idHere)
    if (mailbox === undefined) return () => ({ exception: 'mailbox-not-pulled' })
    const uniqueIds = pop3 ? await identified(mailbox) : undefined
    const injected = await readInjected(this.account, mailbox.id, url)
    return (position) => this.#standing(there, position, mailbox, injected, uniqueIds)
  }

  #standing(
    there: MailboxThere,
    position: number,
    mailbox: Mailbox,
    injected: ReadonlyMap<string, Injected>,
    uniqueIds: UniqueIds | undefined,
  ): Standing {
    const origin = there.messages.originAt(position)
    const original = injected.get(origin)?.digest
    const state = mailbox.byOrigin(origin)
    if (state?.present === true) {
      const record = mailbox.byUid(state.uid)!
      if (!record.isHere) return { exception: 'not-given', detail: `UID ${state.uid} stands for it, without octets` }
      const uidl = uniqueIds?.at(mailbox.messages.positionOf(state.uid))
      return { mailbox, record, uidl, original }
    }
    if (state !== undefined) {
      const copy = this.#copies.get(`${mailbox.id}/${origin}`)?.[0]
      const record = copy?.mailbox.byUid(copy.uid)
      if (copy !== undefined && record?.isHere === true) return { mailbox: copy.mailbox, record, original }
      return { exception: state.cause === 'client' ? 'deleted-here' : 'gone-here' }
    }
    const { submittedAt, refusedAt } = injected.get(origin) ?? {}
    if (refusedAt !== undefined) return { exception: 'refused' }
    if (submittedAt !== undefined) return { exception: 'left-to-submission' }
    if ((there.messages.sizeAt(position) ?? 0) > this.#messageOctets)
      return { exception: 'oversized', detail: `more than ${this.#messageOctets} octets are not fetched` }
    const notice = mailbox.byOrigin(stubOrigin(origin))
    if (notice?.present === true) return { exception: 'stub', detail: `the notice has UID ${notice.uid}` }
    if (notice !== undefined || there.isPending(position)) return { exception: 'not-given' }
    return { exception: 'not-pulled' }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const mailbox of this.#mailboxes) await mailbox.close()
  }
}

const lookThrough = async (mailboxes: readonly Mailbox[]) => {
  const copies = new Map<string, { mailbox: Mailbox; uid: Uid }[]>()
  const slice = new Slice()
  let counted = 0
  for (const mailbox of mailboxes) {
    const { messages } = mailbox
    for (let position = 0; position < messages.length; position++) {
      if (slice.isOver()) await slice.next()
      const origin = messages.originAt(position)
      if (!messages.isHereAt(position) || (origin !== undefined && isStub(origin))) continue
      counted++
      const source = origin === undefined ? undefined : copySource(origin)
      if (source === undefined) continue
      const key = `${source.mailboxId}/${source.origin}`
      const uid = messages.uidAt(position)
      const same = copies.get(key)
      if (same === undefined) copies.set(key, [{ mailbox, uid }])
      else same.push({ mailbox, uid })
    }
  }
  return { copies, messages: counted }
}

/** As pop3d does at a login. */
export const identified = async (mailbox: Mailbox): Promise<UniqueIds> => {
  const ids = new UniqueIds(mailbox.uidValidity, mailbox.messages)
  while (!ids.look(messagesPerTurn)) await setImmediate()
  return ids
}
