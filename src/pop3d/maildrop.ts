/**
 * A session's maildrop: INBOX as it was at the login (RFC 1939 §5), with the numbers that the session gives it. There is no
 * lock: several sessions may have the same INBOX, and each keeps its own snapshot (docs/decisions/0061-pop3-no-lock.md).
 */
import { setImmediate } from 'node:timers/promises'
import { UniqueIds } from '../proto/pop3/uidl.ts'
import type { Account, Mailbox, MessageList, MessageRecord } from '../store/types.ts'
import { Refusal } from './replies.ts'

/** Messages worked on before other sessions get their turn: a few ms. */
const MESSAGES_PER_TURN = 2000

/** Numbers are those that the client sends, from 1. */
export class Maildrop {
  readonly mailbox: Mailbox
  readonly #messages: MessageList
  /** Indices, from 0. */
  readonly #deleted = new Set<number>()
  readonly #uniqueIds: UniqueIds
  #sizeOctets = 0

  private constructor(mailbox: Mailbox) {
    this.mailbox = mailbox
    this.#messages = mailbox.messages
    this.#uniqueIds = new UniqueIds(mailbox.uidValidity, this.#messages)
  }

  /** Makes account and INBOX when they are missing (POP-02). Throws StoreError. */
  static async open(account: Account): Promise<Maildrop> {
    await account.ensure()
    const mailbox = await account.open('INBOX')
    try {
      await mailbox.refresh()
      const maildrop = new Maildrop(mailbox)
      await maildrop.#addSizes()
      return maildrop
    } catch (error) {
      await mailbox.close()
      throw error
    }
  }

  /** Messages, and their octets, that are not marked as deleted. RFC 1939 §5 (STAT) */
  get count(): number {
    return this.#messages.length - this.#deleted.size
  }
  get sizeOctets(): number {
    return this.#sizeOctets
  }

  /** The message of a number that the client sent. Throws Refusal when there is none or it is marked as deleted. */
  message(number: number): MessageRecord {
    const message = this.#messages.at(number - 1)
    if (!message) throw new Refusal(`no such message, only ${this.#messages.length} messages in maildrop`)
    if (this.#deleted.has(number - 1)) throw new Refusal(`message ${number} is deleted`)
    return message
  }

  /** Before the first `uniqueId`: tells the messages apart. */
  async identify(): Promise<void> {
    while (!this.#uniqueIds.look(MESSAGES_PER_TURN)) await setImmediate()
  }

  sizeOf(number: number): number {
    return this.#messages.sizeAt(number - 1)
  }

  uniqueId(number: number): string {
    return this.#uniqueIds.at(number - 1)
  }

  /** Numbers of the messages that are not marked as deleted, ascending. */
  *numbers(): Generator<number> {
    for (let index = 0; index < this.#messages.length; index++) if (!this.#deleted.has(index)) yield index + 1
  }

  /** Throws Refusal, also where nothing can be deleted. */
  delete(number: number): void {
    const { sizeOctets } = this.message(number)
    if (this.mailbox.readOnly) throw new Refusal('the maildrop lies in an archive, which is only read', 'SYS/PERM')
    this.#sizeOctets -= sizeOctets
    this.#deleted.add(number - 1)
  }

  reset(): void {
    for (const index of this.#deleted) this.#sizeOctets += this.#messages.sizeAt(index)
    this.#deleted.clear()
  }

  /** The UPDATE state: removes what is marked, in one commit. Answers how many were. Throws StoreError, then nothing is removed. */
  async update(): Promise<number> {
    if (this.#deleted.size === 0) return 0
    const uids = [...this.#deleted].sort((a, b) => a - b).map((index) => this.#messages.uidAt(index))
    await this.mailbox.expunge(uids, 'client')
    return uids.length
  }

  close(): Promise<void> {
    return this.mailbox.close()
  }

  async #addSizes(): Promise<void> {
    for (let index = 0; index < this.#messages.length; index++) {
      this.#sizeOctets += this.#messages.sizeAt(index)
      if (index % MESSAGES_PER_TURN === MESSAGES_PER_TURN - 1) await setImmediate()
    }
  }
}
