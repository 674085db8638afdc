/** What one reader of a mailbox makes of what it is told, as an IMAP client does: everything once, then differences. */

import type { Uid } from '#src/base/ids.ts'
import type { Flag, Mailbox } from '#src/store/types.ts'

export interface ViewState {
  readonly modSeq: number
  readonly uidNext: number
  readonly count: number
  /** Of UIDs, MODSEQs and flags of all messages. Readers at the same MODSEQ must agree. */
  readonly hash: number
}

export class ReaderView {
  private readonly mailbox: Mailbox
  private readonly known = new Map<Uid, number>()
  private readonly flagHashes = new WeakMap<ReadonlySet<Flag>, number>()
  private modSeq: number
  private uidNext = 0
  private hash = 0

  constructor(mailbox: Mailbox) {
    this.mailbox = mailbox
    const { messages } = mailbox
    for (let at = 0; at < messages.length; at += 1)
      this.put(messages.uidAt(at), messages.modSeqAt(at), messages.flagsAt(at))
    this.modSeq = mailbox.highestModSeq
  }

  /** Takes in what is new. Answers what it knows now, the UIDs that went, and what can't be. */
  look(): { readonly state: ViewState; readonly vanished: readonly Uid[]; readonly faults: readonly string[] } {
    const { mailbox } = this
    const faults: string[] = []
    const vanished: Uid[] = []
    if (mailbox.highestModSeq < this.modSeq)
      faults.push(`HIGHESTMODSEQ fell from ${this.modSeq} to ${mailbox.highestModSeq}`)
    if (mailbox.uidNext < this.uidNext) faults.push(`UIDNEXT fell from ${this.uidNext} to ${mailbox.uidNext}`)
    const delta = mailbox.delta(this.modSeq as typeof mailbox.highestModSeq)
    for (const { first, last } of delta.expunged())
      for (let uid = first; uid <= last; uid = (uid + 1) as Uid) if (this.drop(uid)) vanished.push(uid)
    for (const uid of delta.added()) if (this.known.has(uid)) faults.push(`UID ${uid} arrived twice`)
    for (const uid of delta.updated()) if (!this.drop(uid)) faults.push(`UID ${uid} changed without having arrived`)
    for (const uid of [...delta.added(), ...delta.updated()]) {
      const { modSeq, flags } = mailbox.byUid(uid)!
      this.put(uid, modSeq, flags)
    }
    this.modSeq = mailbox.highestModSeq
    this.uidNext = mailbox.uidNext
    if (this.known.size !== mailbox.messages.length)
      faults.push(`${mailbox.messages.length} messages, ${this.known.size} by differences`)
    const { modSeq, uidNext, hash } = this
    return { state: { modSeq, uidNext, count: this.known.size, hash }, vanished, faults }
  }

  private put(uid: Uid, modSeq: number, flags: ReadonlySet<Flag>): void {
    let value = mix(mix(uid) ^ modSeq)
    value = mix(value ^ this.hashOf(flags))
    this.known.set(uid, value)
    this.hash ^= value
  }

  private drop(uid: Uid): boolean {
    const value = this.known.get(uid)
    if (value === undefined) return false
    this.known.delete(uid)
    this.hash ^= value
    return true
  }

  private hashOf(flags: ReadonlySet<Flag>): number {
    let hash = this.flagHashes.get(flags)
    if (hash === undefined) {
      hash = 7
      for (const character of [...flags].sort().join(' ')) hash = Math.imul(hash, 31) + character.charCodeAt(0)
      this.flagHashes.set(flags, hash)
    }
    return hash
  }
}

/** Spreads the bits of a number over 32. */
function mix(value: number): number {
  let bits = Math.imul(value ^ (value >>> 16), 0x85ebca6b)
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35)
  return bits ^ (bits >>> 16)
}
