/** What goes into one commit of a mailbox: its requests are planned one after another, each behind those before it, against one state. */

import { StoreError } from '../base/errors.ts'
import type { Uid } from '../base/ids.ts'
import type { Announcement } from './announcement.ts'
import type { Operation } from './change-set.ts'
import { FlagPlans } from './flag-change.ts'
import { type Handed, handedBefore } from './handed.ts'
import type { MailboxState } from './mailbox-state.ts'
import { type Addition, operations } from './operations.ts'
import type { Flag, GivenUids } from './types.ts'

const maxUid = 0xffffffff
/** UIDVALIDITY and UIDs of another server are taken over up to this one: what is made here needs some above. */
export const mostGiven = 0xf0000000
/** Rows of one operation: a ms to write or read. */
const announcedPerOperation = 1000

export class MailboxPlans {
  readonly flags = new FlagPlans()
  /** Answers the state that is planned against. */
  private readonly state: () => MailboxState
  /** Since 1970. */
  private readonly seconds: () => number
  /** What the plans so far do: origins and UIDs that they add, UIDs that they bring back. */
  private readonly arriving = new Set<string>()
  private readonly returning = new Set<Uid>()
  /** What they add that somebody handed over, by the unique part of its name, and the UID that it gets. */
  private readonly handed = new Map<string, Uid>()
  private nextUid = 1 as Uid
  private keptBelow = 1 as Uid

  constructor(state: () => MailboxState, seconds: () => number) {
    this.state = state
    this.seconds = seconds
  }

  /** A new commit is planned. */
  clear(): void {
    this.flags.clear()
    this.arriving.clear()
    this.returning.clear()
    this.handed.clear()
    this.nextUid = this.state().uidNext
    this.keptBelow = this.state().keptBelow
  }

  /** Throws StoreError limit when there are no more UIDs. */
  *additions(messages: Iterable<Omit<Addition, 'uid'> & { readonly uid: Uid | undefined }>): Iterable<Operation> {
    const savedDate = this.seconds()
    for (const message of messages) yield operations.add({ ...message, uid: this.planUid(message) }, savedDate)
  }

  /** Of the message that was handed over before as this one is; undefined: none was, and this one is about to be added. */
  handedBefore(handed: Handed): Uid | undefined {
    const uid = this.handed.get(handed.unique) ?? handedBefore(handed, this.state(), this.seconds())
    if (uid === undefined) this.handed.set(handed.unique, this.freeUid())
    return uid
  }

  /** One that is known costs a UID: nobody gets it. `sets`: the announcement's, as the mailbox spells them. */
  *announcements(rows: Announcement, sets: readonly (readonly Flag[])[]): Iterable<Operation | undefined> {
    for (let at = 0; at < rows.count; at += announcedPerOperation) {
      if (at > 0) yield undefined
      const uids: Uid[] = []
      for (let row = at; row < rows.count && row < at + announcedPerOperation; row += 1) {
        const uid = this.freeUid(rows.givesUids ? (rows.numbers[row] as Uid) : undefined)
        this.nextUid = (uid + 1) as Uid
        uids.push(uid)
      }
      yield operations.announce(rows, sets, at, uids, this.seconds())
    }
  }

  /** Of announced messages. Each piece goes and is forgotten in one commit: nobody finds an origin that left and may come. */
  *withdrawal(wanted: readonly Uid[]): Iterable<Operation | undefined> {
    const at = this.seconds()
    for (let next = 0; next < wanted.length; next += announcedPerOperation) {
      if (next > 0) yield undefined
      const rows = wanted.slice(next, next + announcedPerOperation).flatMap((uid) => {
        const message = this.state().byUid(uid)
        const origin = message?.isHere === false ? message.origin : undefined
        // One that comes with this commit.
        return origin === undefined || this.arriving.has(origin) ? [] : [{ uid, origin }]
      })
      if (rows.length === 0) continue
      const gone = rows.map(({ uid }) => uid)
      yield operations.expunge('backend', gone, at)
      yield operations.purge(gone)
      yield operations.forget(rows.map(({ origin }) => origin))
    }
  }

  /** Those of these that can be brought back, and that no plan so far brings back. */
  claimExpunged(uids: readonly Uid[]): ReadonlySet<Uid> {
    const wanted = new Set(uids)
    const claimed = new Set<Uid>()
    for (const { chunk } of this.state().expunged.chunks)
      for (let row = 0; row < chunk.count; row += 1) {
        const uid = chunk.columns.uids[row] as Uid
        if (wanted.has(uid) && !this.returning.has(uid)) claimed.add(uid)
      }
    for (const uid of claimed) this.returning.add(uid)
    return claimed
  }

  /** See `Account.adoptUids`. */
  adoption(given: GivenUids): readonly Operation[] {
    const isSame = this.state().uidValidity === given.uidValidity
    const isDone = isSame && given.uidNext <= Math.max(this.keptBelow, this.nextUid)
    if (isDone || (!isSame && this.nextUid > 1)) return []
    this.keptBelow = Math.max(this.keptBelow, given.uidNext) as Uid
    return [operations.adopt(given)]
  }

  /** See `Mailbox.raiseUidNext`. */
  raisedUidNext(uidNext: Uid): readonly Operation[] {
    if (uidNext <= this.nextUid || uidNext > mostGiven) return []
    this.nextUid = uidNext
    return [operations.uidNext(uidNext)]
  }

  /** This one, or the next that is for anybody. Throws StoreError limit. */
  private freeUid(given = 0 as Uid): Uid {
    const uid = given >= this.nextUid && given <= mostGiven ? given : (Math.max(this.nextUid, this.keptBelow) as Uid)
    if (uid >= maxUid) throw new StoreError('limit', 'The mailbox has used up its UIDs; copy its messages to a new one')
    return uid
  }

  private planUid(message: { readonly origin: string | undefined; readonly uid?: Uid | undefined }): Uid {
    const { origin } = message
    const uid = this.freeUid(message.uid)
    const isKnown = origin !== undefined && (this.arriving.has(origin) || this.state().byOrigin(origin) !== undefined)
    if (!isKnown) this.nextUid = (uid + 1) as Uid
    if (origin !== undefined) this.arriving.add(origin)
    return uid
  }
}
