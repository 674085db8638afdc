/** What an IMAP backend has in one mailbox: everything, or with CONDSTORE what is new since the last pass. RFC 7162 */
import type { Uid } from '#src/base/ids.ts'
import type { Flag } from '#src/store/types.ts'
import { BackendError } from '../../backend/errors.ts'
import type { ExpungeEvent, ImapFlow } from '../../backend/imap/control.ts'
import type { ThereState } from './plan.ts'

/** Where the last pass that came to its end left the backend's mailbox. */
export interface PassMark {
  readonly uidValidity: number
  readonly uidNext: number
  readonly exists: number
  /** HIGHESTMODSEQ, 63 bits, in decimal; undefined where the server has none for this mailbox. */
  readonly modSeq: string | undefined
}

export interface Observation {
  readonly there: ThereState
  readonly mark: PassMark
  /** Ids of messages that are not known here, by UID there, where the server gives any: EMAILID (RFC 8474), X-GM-MSGID. */
  readonly ids: ReadonlyMap<Uid, string>
}

export interface Opening {
  /** UIDNEXT as STATUS told it before, for a server that doesn't tell it with SELECT (Courier; RFC 3501 §6.3.1 lets it). */
  readonly uidNextListed?: number | undefined
  /** By EXAMINE, which changes nothing, not even what is \Recent. */
  readonly readOnly?: boolean | undefined
}

/**
 * Selects the mailbox. `known`: UIDs there of messages that are here, or left here and are remembered. Throws BackendError of kind `temporary`
 * with the server's words when the mailbox can't be selected.
 */
export async function observe(
  client: ImapFlow,
  path: string,
  before: PassMark | undefined,
  known: ReadonlySet<Uid>,
  { uidNextListed, readOnly = false }: Opening = {},
): Promise<Observation> {
  const vanishedSince: Uid[] = []
  const onExpunge = (event: ExpungeEvent) => {
    if (event.path === path && event.uid !== undefined) vanishedSince.push(event.uid as Uid)
  }
  client.on('expunge', onExpunge)
  try {
    const since = before?.modSeq === undefined ? {} : { changedSince: before.modSeq, uidValidity: before.uidValidity }
    const mailbox = await client.mailboxOpen(path, { ...since, readOnly })
    const mark: PassMark = {
      uidValidity: Number(mailbox.uidValidity),
      uidNext: (mailbox.uidNext as number | undefined) ?? uidNextListed ?? 1,
      exists: mailbox.exists,
      modSeq: mailbox.noModseq === true ? undefined : mailbox.highestModseq?.toString(),
    }
    const rest = {
      exists: mailbox.exists,
      permanent:
        // EXAMINE tells what could be changed by it: nothing.
        readOnly || mailbox.permanentFlags === undefined || mailbox.permanentFlags.has('\\*')
          ? undefined
          : mailbox.permanentFlags,
      // Not every server says [READ-ONLY] to EXAMINE.
      readOnly: readOnly || mailbox.readOnly === true,
    }
    const ids = new Map<Uid, string>()
    const told = (uid: Uid, id: string) => {
      if (!known.has(uid)) ids.set(uid, id)
    }
    const sameMailbox = before !== undefined && before.uidValidity === mark.uidValidity
    if (sameMailbox && before.modSeq !== undefined && mark.modSeq !== undefined) {
      const changes = await changesSince(client, before, mark, known, vanishedSince, told)
      if (changes !== undefined) return { there: { ...changes, ...rest, complete: true }, mark, ids }
    }
    const flags = mark.exists === 0 ? new Map<Uid, ReadonlySet<Flag>>() : await flagsOf(client, undefined, told)
    const vanished = sameMailbox || before === undefined ? [...known].filter((uid) => !flags.has(uid)) : []
    // Mail that arrives meanwhile makes it more; less means that the server left something out.
    return { there: { flags, vanished, ...rest, complete: flags.size >= mark.exists }, mark, ids }
  } catch (error) {
    if (error instanceof BackendError) throw error
    const { responseText } = error as { responseText?: string }
    throw new BackendError(client.usable ? 'temporary' : 'closed', `the backend would not open a mailbox`, {
      cause: error,
      ...(responseText === undefined ? {} : { serverText: responseText }),
    })
  } finally {
    client.off('expunge', onExpunge)
  }
}

/** Undefined when what the server tells does not add up to what it has: then everything is asked for. */
async function changesSince(
  client: ImapFlow,
  before: PassMark,
  mark: PassMark,
  known: ReadonlySet<Uid>,
  expunged: readonly Uid[],
  told: ToldId,
): Promise<Pick<ThereState, 'flags' | 'vanished'> | undefined> {
  const still = before.modSeq === mark.modSeq && before.uidNext === mark.uidNext && before.exists === mark.exists
  if (still) return { flags: new Map(), vanished: [] }
  const flags = mark.exists === 0 ? new Map<Uid, ReadonlySet<Flag>>() : await flagsOf(client, before.modSeq, told)
  const arrived = [...flags.keys()].filter((uid) => uid >= before.uidNext).length
  if (client.enabled.has('QRESYNC')) {
    const vanished = [...new Set(expunged)].filter((uid) => known.has(uid))
    // VANISHED may name more than was there, so the sum can only be checked from below. RFC 7162 §3.2.10
    if (before.exists + arrived - new Set(expunged).size <= mark.exists) return { flags, vanished }
  }
  const all = mark.exists === 0 ? [] : ((await client.search({ all: true }, { uid: true })) as number[] | false)
  if (all === false || all.length < mark.exists) return undefined
  const there = new Set(all)
  return { flags, vanished: [...known].filter((uid) => !there.has(uid)) }
}

type ToldId = (uid: Uid, id: string) => void

async function flagsOf(
  client: ImapFlow,
  changedSince: string | undefined,
  told: ToldId,
): Promise<Map<Uid, ReadonlySet<Flag>>> {
  const flags = new Map<Uid, ReadonlySet<Flag>>()
  /** Few messages differ in their flags: equal sets are kept once. */
  const shared = new Map<string, ReadonlySet<Flag>>()
  const since = changedSince === undefined ? {} : { changedSince: BigInt(changedSince) }
  for await (const message of client.fetch('1:*', { uid: true, flags: true }, { uid: true, ...since })) {
    // Some servers tell flags of numbers that are none: without a UID that is of no message. RFC 9051 §7.5.2
    if ((message.uid as number | undefined) === undefined) continue
    const own = [...(message.flags ?? [])].filter((flag) => flag.toLowerCase() !== '\\recent').sort()
    const key = own.join(' ')
    let set = shared.get(key)
    if (set === undefined) {
      set = new Set(own)
      shared.set(key, set)
    }
    flags.set(message.uid as Uid, set)
    if (message.emailId !== undefined) told(message.uid as Uid, message.emailId)
  }
  return flags
}
