/** What a mailbox here knows of its likeness at an IMAP backend, read from the origins of its messages. */
import { StoreError } from '#src/base/errors.ts'
import type { ModSeq, Uid } from '#src/base/ids.ts'
import { isCopy } from '#src/store/copy-origin.ts'
import type { Account, ExpungeCause, Mailbox } from '#src/store/types.ts'
import { Slice } from '../../backend/slice.ts'
import { isStub } from '../stub.ts'
import { isAmong, type MailboxMark } from './memory.ts'
import { parseOrigin } from './origin.ts'
import type { HereMessage } from './plan.ts'

export interface HereState {
  /** By UID there. */
  readonly here: ReadonlyMap<Uid, HereMessage>
  /** Of messages that left here, by UID there. */
  readonly departed: ReadonlyMap<Uid, ExpungeCause>
  /** UIDs here of messages that no backend has given. */
  readonly own: readonly Uid[]
  /** UIDs here of messages that came under another UIDVALIDITY. */
  readonly stale: readonly Uid[]
  /** Of messages that left here and came under another UIDVALIDITY: origins and the UIDs that they had here. */
  readonly staleDeparted: ReadonlyMap<string, Uid>
  /** Messages that a client deleted after `until`: that is for the next pass. */
  readonly later: boolean
}

/**
 * `until`: what clients deleted up to this number. A move puts a message into its target before it takes it from its source; so what left up to
 * a moment before any mailbox is looked at, is seen where it went to.
 */
export async function stateHere(
  mailbox: Mailbox,
  url: string,
  uidValidity: number,
  mark: MailboxMark | undefined,
  until: ModSeq,
  /** What was changed here before there was a mark is a client's work: a pull that broke off has changed nothing that it stored. */
  pullOnly = false,
): Promise<HereState> {
  const slice = new Slice()
  const here = new Map<Uid, HereMessage>()
  const own: Uid[] = []
  const stale: Uid[] = []
  const { messages } = mailbox
  for (let position = 0; position < messages.length; position += 1) {
    if (slice.isOver()) await slice.next()
    const uid = messages.uidAt(position)
    const origin = messages.originAt(position)
    if (origin === undefined || isCopy(origin)) {
      own.push(uid)
      continue
    }
    const from = parseOrigin(url, origin)
    if (from === undefined || from.uidValidity === 0) continue
    if (from.uidValidity !== uidValidity) stale.push(uid)
    else {
      const modSeq = messages.modSeqAt(position)
      const changed =
        (mark !== undefined || pullOnly) &&
        modSeq > (mark?.here ?? 0) &&
        modSeq !== messages.addedModSeqAt(position) &&
        !isAmong(mark?.own ?? [], modSeq)
      here.set(from.uid, { uid, flags: messages.flagsAt(position), changed })
    }
  }
  const departed = new Map<Uid, ExpungeCause>()
  const staleDeparted = new Map<string, Uid>()
  let later = false
  for (const [origin, { uid, cause, modSeq }] of mailbox.departed()) {
    const from = parseOrigin(url, origin)
    if (from === undefined || from.uidValidity === 0) continue
    if (from.uidValidity !== uidValidity) staleDeparted.set(origin, uid)
    else if (cause === 'client' && modSeq > until) {
      later = true
      // Neither deleted there nor fetched again.
      departed.set(from.uid, 'window')
    } else departed.set(from.uid, cause)
  }
  return { here, departed, own, stale, staleDeparted, later }
}

/** UIDs there of messages that are announced here, ascending; `uidValidity` undefined: under any. */
export function announcedOf(mailbox: Mailbox, url: string, uidValidity?: number): readonly Uid[] {
  const found: Uid[] = []
  for (const uid of mailbox.messages.announced()) {
    const from = parseOrigin(url, mailbox.byUid(uid)?.origin ?? '')
    if (from !== undefined && (uidValidity === undefined || from.uidValidity === uidValidity)) found.push(from.uid)
  }
  return found.sort((a, b) => a - b)
}

/** Messages of this backend that are announced in a mailbox. Throws StoreError. */
export async function countAnnounced(account: Account, url: string, name: string): Promise<number> {
  try {
    await using mailbox = await account.open(name)
    return announcedOf(mailbox, url).length
  } catch (error) {
    if (error instanceof StoreError && error.kind === 'not-found') return 0
    throw error
  }
}

/** Whether a mailbox has messages that this backend never had. Throws StoreError. */
export async function hasOwn(account: Account, url: string, name: string): Promise<boolean> {
  try {
    await using mailbox = await account.open(name)
    const { messages } = mailbox
    for (let position = 0; position < messages.length; position += 1) {
      const origin = messages.originAt(position)
      if (origin === undefined || (parseOrigin(url, origin) === undefined && !isStub(origin))) return true
    }
    return false
  } catch (error) {
    if (error instanceof StoreError && error.kind === 'not-found') return false
    throw error
  }
}
