/**
 * Migration: a mailbox here gets the UIDVALIDITY of its like at the backend, and its messages their UIDs, so that clients that know them download nothing
 * again. Where that can't be the messages come all the same, and why is noted. docs/decisions/0098-uids-that-are-kept.md
 */
import { StoreError } from '#src/base/errors.ts'
import type { MailboxId, Uid } from '#src/base/ids.ts'
import type { Account, Mailbox } from '#src/store/types.ts'
import { formatUids, isAmong, joinRanges, parseUids, sortedUids } from '#src/store/uid-set.ts'
import { statusThere } from './list.ts'
import { originOf } from './origin.ts'
import type { PassRequest } from './pass.ts'
import type { ListedPair } from './tree-pass.ts'

/**
 * Why no message of a mailbox has its UID:
 * - `not-empty`: something was in it before, under another UIDVALIDITY; or UIDVALIDITY changed there;
 * - `made-again`: another mailbox had the UIDs here, under the same name there, and was removed;
 * - `too-high`: UIDVALIDITY or UIDNEXT there would leave none for what is made here;
 * - `injected`: messages come by way of a mail server (`smtp_injection`).
 */
export type Refusal = 'not-empty' | 'made-again' | 'too-high' | 'injected'

/** What was noted of one mailbox, in the account's log under `imap-uids`, the backend's URL and the mailbox's id here. */
export interface UidsNote {
  /** Name there. */
  readonly path: string
  /** There. It is the one here when there is no `refusal`. */
  readonly uidValidity: number
  readonly refusal?: Refusal
  /** UIDs there, as a sequence set (RFC 9051 §9), of messages with other UIDs here: the backend did not give them when it was asked first. */
  readonly late?: string
  /** The same: when they came, higher UIDs had been given here, to mail of this site or to messages that the backend gave first. */
  readonly overtaken?: string
}

/** Kept free for what the backend gives from now on: a client that is still there may see it, and come here with its UID. */
export const spareUids = 10_000

const keyOf = (url: string, id: string): string => `imap-uids ${url} ${id}`

/** By the mailbox here; the account's account of a migration from this backend (`imapUrl`). */
export const readUidsNotes = async (account: Account, url: string): Promise<ReadonlyMap<MailboxId, UidsNote>> => {
  const entries = await account.entries(keyOf(url, ''))
  return new Map([...entries].map(([key, note]) => [key.slice(keyOf(url, '').length) as MailboxId, note as UidsNote]))
}

/** Before the mailbox is looked into, and opened. Throws BackendError, StoreError. */
export const keepUids = async (request: PassRequest, pair: ListedPair): Promise<void> => {
  const { account, session, url, injection, log } = request
  const { path, name, idHere } = pair
  const there = pair.status ?? (await statusThere(session.control, path))
  if (there === undefined) return
  const { uidValidity } = there
  const notes = await readUidsNotes(account, url)
  const before = notes.get(idHere)
  const known = before?.uidValidity === uidValidity ? before : undefined
  const note = async (refusal: Refusal | undefined) => {
    const { refusal: _, ...rest } = known ?? { path, uidValidity }
    const now = { ...rest, path, ...(refusal === undefined ? {} : { refusal }) }
    if (JSON.stringify(now) !== JSON.stringify(before)) await account.put({ [keyOf(url, idHere)]: now })
    if (refusal !== undefined && refusal !== before?.refusal)
      log.log('warning', 'messages of a mailbox get other UIDs than at the backend', { mailbox: name, reason: refusal })
  }
  const isMadeAgain = [...notes].some(
    ([id, other]) => id !== idHere && other.path === path && other.uidValidity === uidValidity && known === undefined,
  )
  if (injection.keepsUids !== true) return await note('injected')
  if (isMadeAgain || known?.refusal === 'made-again') return await note('made-again')
  // First: a mailbox that takes its place has to know of it.
  if (known === undefined) await note(undefined)
  const given = { uidValidity, uidNext: (there.uidNext + spareUids) as Uid }
  try {
    await note((await account.adoptUids(name, given)) ? undefined : 'not-empty')
  } catch (error) {
    const kind = error instanceof StoreError ? error.kind : undefined
    if (kind === 'invalid') await note('too-high')
    else if (kind !== 'not-found') throw error
  }
}

export interface CameIn {
  readonly url: string
  /** There; the mailbox has it here, too. */
  readonly uidValidity: number
  readonly mailbox: Mailbox
  /** UIDs there of messages that are here. */
  readonly uids: Iterable<Uid>
  /** It was asked for in vain before. */
  readonly isLate: (uid: Uid) => boolean
}

/** Notes which of these messages have other UIDs here, as far as that was not noted. */
export const noteOthers = async (
  { account, log }: Pick<PassRequest, 'account' | 'log'>,
  { url, uidValidity, mailbox, uids, isLate }: CameIn,
): Promise<void> => {
  const others = [...uids].filter((uid) => {
    const known = mailbox.byOrigin(originOf(url, uidValidity, uid))
    return known?.present === true && known.uid !== uid
  })
  if (others.length === 0) return
  const note = (await readUidsNotes(account, url)).get(mailbox.id)
  if (note === undefined || note.uidValidity !== uidValidity) return
  const noted = joinRanges([...parseUids(note.late ?? ''), ...parseUids(note.overtaken ?? '')])
  const fresh = others.filter((uid) => !isAmong(noted, uid))
  if (fresh.length === 0) return
  const reasons = Map.groupBy(fresh, (uid) => (isLate(uid) ? 'late' : 'overtaken'))
  const sets = [...reasons].map(([reason, some]) => [reason, withUids(note[reason], some)])
  await account.put({ [keyOf(url, mailbox.id)]: { ...note, ...Object.fromEntries(sets) } })
  for (const [reason, { length: messages }] of reasons)
    log.log('info', 'messages have other UIDs than at the backend', { mailbox: mailbox.name, messages, reason })
}

const withUids = (set: string | undefined, uids: readonly Uid[]): string => {
  const before = [...parseUids(set ?? '')].flatMap(({ first, last }) =>
    Array.from({ length: last - first + 1 }, (_, at) => (first + at) as Uid),
  )
  return formatUids(sortedUids([...before, ...uids]))
}
