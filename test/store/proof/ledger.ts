/**
 * What the processes of a proof were told, and whether the disk keeps it: the invariants of mdir as questions about what anybody was ever
 * shown or promised.
 */

import type { ModSeq, Uid } from '#src/base/ids.ts'
import type { StoreOptions } from '#src/store/store.ts'
import type { Mailbox, MessageRecord } from '#src/store/types.ts'
import { deliver, storeIn, textOf, user } from '../actions.ts'
import type { MemoryDisk } from '../disk.ts'
import { DiskClock } from './turns.ts'

export const root = '/s'
/** Behind its trace: of a message that several hand over. */
export const handedText = '\r\nhanded'

/** A mailbox keeps its id when it is renamed, and its UIDs mean the same as long as UIDVALIDITY does. */
export const boxOf = (mailbox: Mailbox) => `${mailbox.id}/${mailbox.uidValidity}`
export const keyOf = (mailbox: Mailbox, uid: number) => `${boxOf(mailbox)}/${uid}`

/** A client's copy of a mailbox as of a MODSEQ: flags and MODSEQ by UID. */
interface View {
  readonly modSeq: ModSeq
  readonly rows: ReadonlyMap<Uid, string>
}

const rowOf = ({ flags, modSeq }: MessageRecord) => `${modSeq} ${[...flags].sort().join(' ')}`
const viewOf = (mailbox: Mailbox): View => ({
  modSeq: mailbox.highestModSeq,
  rows: new Map(Array.from(mailbox.messages, (message) => [message.uid, rowOf(message)])),
})

export class Ledger {
  /** Every message that was ever shown: text by `id/uidValidity/uid`. */
  readonly shown = new Map<string, string>()
  /** Acknowledged deliveries and copies. */
  readonly delivered = new Map<string, { readonly text: string; readonly origin: string | undefined }>()
  /** Asked for; from here on it may be gone. */
  readonly expunging = new Set<string>()
  /** The MODSEQ at which an expunge was acknowledged. */
  readonly expunged = new Map<string, ModSeq>()
  /** Acknowledged keywords that nobody takes away. */
  readonly flagged = new Map<string, Set<string>>()
  /** Acknowledged changes that were conditional on the same MODSEQ of the same message. */
  readonly conditional = new Map<string, number>()
  /** Expunged messages that were brought back. */
  readonly broughtBack = new Set<string>()
  /** Ranges that became \Recent, by box. */
  readonly recent = new Map<string, (readonly [after: number, upTo: number])[]>()
  /** Below this no UID is given to what comes without one, by box. */
  readonly keptBelow = new Map<string, number>()
  /** Names of mailboxes whose making was acknowledged, or that were there. */
  readonly made = new Set<string>()
  /** Names that are being removed or renamed, or were. */
  readonly leaving = new Set<string>()
  /** Ids of mailboxes whose removal was asked for, and acknowledged. */
  readonly removing = new Set<string>()
  readonly removed = new Set<string>()
  readonly subscribed = new Set<string>()
  readonly values = new Map<string, unknown>()
  readonly faults: string[] = []
  private readonly views = new Map<string, View[]>()

  /** As it is now, to be asked later. */
  clone(): Ledger {
    const copy = new Ledger()
    for (const [key, value] of this.shown) copy.shown.set(key, value)
    for (const [key, value] of this.delivered) copy.delivered.set(key, value)
    for (const key of this.expunging) copy.expunging.add(key)
    for (const [key, value] of this.expunged) copy.expunged.set(key, value)
    for (const [key, value] of this.flagged) copy.flagged.set(key, new Set(value))
    for (const [key, value] of this.conditional) copy.conditional.set(key, value)
    for (const key of this.broughtBack) copy.broughtBack.add(key)
    for (const [key, value] of this.recent) copy.recent.set(key, [...value])
    for (const [key, value] of this.keptBelow) copy.keptBelow.set(key, value)
    for (const key of this.made) copy.made.add(key)
    for (const key of this.leaving) copy.leaving.add(key)
    for (const key of this.removing) copy.removing.add(key)
    for (const key of this.removed) copy.removed.add(key)
    for (const key of this.subscribed) copy.subscribed.add(key)
    for (const [key, value] of this.values) copy.values.set(key, value)
    for (const [key, value] of this.views) copy.views.set(key, [...value])
    copy.faults.push(...this.faults)
    return copy
  }

  noteConditional(mailbox: Mailbox, uid: Uid, unchangedSince: ModSeq): void {
    const key = `${keyOf(mailbox, uid)}@${unchangedSince}`
    const count = (this.conditional.get(key) ?? 0) + 1
    this.conditional.set(key, count)
    if (count > 1) this.faults.push(`${key} was found unchanged twice`)
  }

  noteBroughtBack(key: string): void {
    if (this.broughtBack.has(key)) this.faults.push(`${key} was brought back twice`)
    this.broughtBack.add(key)
  }

  noteRecent(mailbox: Mailbox, after: Uid, upTo: Uid): void {
    if (upTo <= after) return
    const claims = this.recent.get(boxOf(mailbox)) ?? []
    for (const [from, to] of claims)
      if (after < to && upTo > from) this.faults.push(`${after}-${upTo} and ${from}-${to} were both \\Recent`)
    this.recent.set(boxOf(mailbox), [...claims, [after, upTo]])
  }

  /** A reader looks: everything that it sees must agree with what anybody saw before, and with what it was told since it last looked. */
  async look(mailbox: Mailbox): Promise<void> {
    const { messages, highestModSeq } = mailbox
    const box = boxOf(mailbox)
    let last = 0
    const views = this.views.get(box) ?? []
    const view = viewOf(mailbox)
    this.faults.push(...differences(mailbox, views, view))
    this.views.set(box, [...views.filter(({ modSeq }) => modSeq !== highestModSeq), view])
    for (const { uid, modSeq } of messages) {
      if (uid <= last || uid >= mailbox.uidNext) this.faults.push(`UID ${uid} after ${last} of ${mailbox.uidNext}`)
      if (modSeq > highestModSeq) this.faults.push(`MODSEQ ${modSeq} above ${highestModSeq}`)
      last = uid
      const key = `${box}/${uid}`
      if (highestModSeq >= (this.expunged.get(key) ?? Number.POSITIVE_INFINITY)) this.faults.push(`${key} came back`)
      if (this.shown.has(key)) continue
      this.shown.set(key, '')
      const text = await textOf(mailbox, uid).catch((error: unknown) => {
        // Expunged by another one meanwhile, or gone with its mailbox: then it can't be read any more.
        if (!this.expunging.has(key) && !this.removing.has(mailbox.id)) this.faults.push(`${key}: ${String(error)}`)
        return ''
      })
      this.shown.set(key, text)
    }
  }

  /** After all is quiet, or after a crash: a fresh process must find all that was acknowledged, once, and go on from there. */
  async check(disk: MemoryDisk, options: Partial<StoreOptions> = {}): Promise<readonly string[]> {
    const faults = [...this.faults]
    await using store = storeIn(root, { fs: disk.fs(), clock: new DiskClock(disk), ...options })
    const account = store.account(user)
    const names = new Set<string>()
    const boxes = new Set<string>()
    for (const { name, selectable } of await account.list()) {
      if (!selectable) continue
      names.add(name)
      const mailbox = await account.open(name)
      if (boxes.has(boxOf(mailbox))) faults.push(`${boxOf(mailbox)} has two names`)
      boxes.add(boxOf(mailbox))
      if (this.removed.has(mailbox.id)) faults.push(`${name} was removed and is there`)
      faults.push(...(await this.checkMailbox(mailbox)))
    }
    for (const name of this.made)
      if (!names.has(name) && !this.leaving.has(name)) faults.push(`mailbox ${name} is lost`)
    for (const box of this.views.keys())
      if (!boxes.has(box) && !this.removing.has(box.slice(0, box.indexOf('/')))) faults.push(`${box} is lost`)
    if (this.subscribed.size > 0) {
      const subscriptions = await account.subscriptions()
      for (const name of this.subscribed) if (!subscriptions.includes(name)) faults.push(`${name} is not subscribed`)
    }
    for (const [name, value] of this.values)
      if ((await account.get(name)) !== value) faults.push(`${name} is not ${JSON.stringify(value)}`)
    return faults
  }

  private async checkMailbox(mailbox: Mailbox): Promise<string[]> {
    const faults: string[] = []
    const box = boxOf(mailbox)
    const origins = new Set<string>()
    let handed = 0
    const views = this.views.get(box) ?? []
    faults.push(...differences(mailbox, views, viewOf(mailbox)))
    for (const { modSeq } of views)
      if (modSeq > mailbox.highestModSeq) faults.push(`${box}: MODSEQ went back from ${modSeq}`)
    for (const { uid, origin, flags } of mailbox.messages) {
      const key = `${box}/${uid}`
      const text = await textOf(mailbox, uid).catch((error: unknown) => String(error))
      const shown = this.shown.get(key)
      if (shown !== undefined && shown !== '' && shown !== text) faults.push(`${key} was ${shown} and is ${text}`)
      const promised = this.delivered.get(key)?.text
      if (promised !== undefined && promised !== text) faults.push(`${key} is ${text}, not ${promised}`)
      if (this.expunged.has(key)) faults.push(`${key} is expunged and there`)
      for (const flag of this.flagged.get(key) ?? []) if (!flags.has(flag)) faults.push(`${key} lost ${flag}`)
      if (text.endsWith(handedText) && ++handed > 1) faults.push(`${key} was handed over before`)
      if (origin === undefined) continue
      if (origins.has(origin)) faults.push(`${origin} is there twice`)
      origins.add(origin)
    }
    for (const key of new Set([...this.delivered.keys(), ...this.shown.keys()])) {
      if (!key.startsWith(`${box}/`)) continue
      const uid = Number(key.slice(box.length + 1)) as Uid
      if (uid >= mailbox.uidNext) faults.push(`${key} was shown, UIDNEXT is ${mailbox.uidNext}`)
      if (mailbox.byUid(uid) === undefined && !this.expunging.has(key)) faults.push(`${key} is lost`)
    }
    // What comes next gets a new UID.
    const { uidNext, highestModSeq } = mailbox
    const next = await deliver(mailbox, 'probe')
    if (!('uid' in next) || next.uid < uidNext || this.shown.has(`${box}/${next.uid}`))
      faults.push(`the next message became ${JSON.stringify(next)}, UIDNEXT was ${uidNext}`)
    const kept = this.keptBelow.get(box) ?? 0
    if ('uid' in next && next.uid < kept) faults.push(`the next message became ${next.uid}, and ${kept} was kept free`)
    if (mailbox.highestModSeq <= highestModSeq) faults.push(`MODSEQ stayed at ${highestModSeq}`)
    return faults
  }
}

/** What a client that has a view and is told the difference since then would have wrong. RFC 7162 §3.2.5.1 */
function differences(mailbox: Mailbox, views: readonly View[], now: View): string[] {
  const faults: string[] = []
  for (const { modSeq, rows } of views) {
    // Another process may know less.
    if (modSeq > now.modSeq) continue
    const told = new Map(rows)
    const delta = mailbox.delta(modSeq)
    for (const uid of [...delta.added(), ...delta.updated()]) told.set(uid, rowOf(mailbox.byUid(uid)!))
    for (const { first, last } of delta.expunged())
      for (const uid of [...told.keys()]) if (uid >= first && uid <= last) told.delete(uid)
    const [have, want] = [told, now.rows].map((map) => JSON.stringify([...map].sort(([a], [b]) => a - b)))
    if (have !== want) faults.push(`what was told since MODSEQ ${modSeq} makes ${have} and not ${want}`)
  }
  return faults
}
