/**
 * Mailboxes that were renamed at a server that tells no ids of them (RFC 8474): most servers keep UIDVALIDITY, and with it the UIDs. Two mailboxes
 * may have the same one, so what is known of the messages has to agree too: of those that came from there, or where there are none, of those
 * that a pass was sending when it was cut short.
 */
import type { Uid } from '#src/base/ids.ts'
import { isCopy } from '#src/store/copy-origin.ts'
import type { Account } from '#src/store/types.ts'
import { formatUids } from '#src/store/uid-set.ts'
import type { ImapFlow } from '../../backend/imap/control.ts'
import type { ListedMailbox } from './list.ts'
import type { BackendMemory, KnownPair } from './memory.ts'
import type { PassMark } from './observe.ts'
import { parseOrigin } from './origin.ts'

/** Messages compared: the newest. */
const compared = 20

export interface Identified {
  readonly pairs: readonly KnownPair[]
  readonly mailboxes: readonly ListedMailbox[]
}

/** Gives a pair, and the mailbox that it is now, the same id. Throws BackendError and StoreError. */
export async function withRenamesFound(
  {
    control,
    account,
    url,
    memory,
  }: {
    readonly control: ImapFlow
    readonly account: Account
    readonly url: string
    readonly memory: BackendMemory
  },
  { pairs, mailboxes }: Identified,
): Promise<Identified> {
  const byPath = new Map(mailboxes.map((mailbox) => [mailbox.path, mailbox]))
  const lost: { readonly pair: KnownPair; readonly there: PassMark; readonly sentFrom: number | undefined }[] = []
  const kept = new Set<string>()
  for (const pair of pairs) {
    const { there, sentFrom } = (await memory.mark(pair.idHere)) ?? {}
    const status = byPath.get(pair.path)?.status
    if (there === undefined || status?.uidValidity === there.uidValidity) kept.add(pair.path)
    else lost.push({ pair, there, sentFrom })
  }
  const found = new Map<KnownPair, ListedMailbox>()
  for (const { pair, there, sentFrom } of lost) {
    const candidates = mailboxes.filter(
      ({ path, status }) =>
        !kept.has(path) && status?.uidValidity === there.uidValidity && status.uidNext >= there.uidNext,
    )
    const [candidate] = candidates
    if (candidates.length !== 1 || candidate === undefined) continue
    if (await areSameMessages({ control, account, url }, pair, candidate.path, there.uidValidity, sentFrom))
      found.set(pair, candidate)
  }
  const idOf = (pair: KnownPair) => (found.has(pair) ? `here ${pair.idHere}` : pair.idThere)
  const idThere = new Map([...found].map(([pair, { path }]) => [path, `here ${pair.idHere}`]))
  return {
    pairs: pairs.map((pair) => ({ ...pair, idThere: idOf(pair) })),
    mailboxes: mailboxes.map((mailbox) => ({ ...mailbox, id: idThere.get(mailbox.path) ?? mailbox.id })),
  }
}

/** The newest messages that came from the pair's mailbox are in this one, under the same UIDs. An empty one proves nothing. */
async function areSameMessages(
  { control, account, url }: { readonly control: ImapFlow; readonly account: Account; readonly url: string },
  { name, idHere }: KnownPair,
  path: string,
  uidValidity: number,
  sentFrom: number | undefined,
): Promise<boolean> {
  const { known, unsent } = await messagesHere(account, url, name, idHere, uidValidity)
  if (known.size === 0 && (unsent.size === 0 || sentFrom === undefined)) return false
  const mailbox = await control.mailboxOpen(path, { readOnly: true })
  if (Number(mailbox.uidValidity) !== uidValidity || mailbox.exists === 0) return false
  let same = 0
  const uids =
    known.size > 0 ? formatUids([...known.keys()].sort((a, b) => a - b)) : `${sentFrom}:${sentFrom! + compared - 1}`
  for await (const { uid, size, internalDate } of control.fetch(uids, query, { uid: true })) {
    const seconds = internalDate === undefined ? Number.NaN : new Date(internalDate).getTime() / 1000
    const found = likeness(size, seconds)
    if (known.size === 0) {
      // Others may have put something there as well.
      if (unsent.has(found)) same += 1
      continue
    }
    const expected = known.get(uid as Uid)
    if (expected === undefined) continue
    if (expected !== found) return false
    same += 1
  }
  return same > 0
}

const query = { uid: true, size: true, internalDate: true } as const

/** `seconds` since 1970. */
const likeness = (sizeOctets: number | undefined, seconds: number): string => `${sizeOctets} ${seconds}`

interface MessagesHere {
  /** The newest that came from there, by UID there. */
  readonly known: ReadonlyMap<Uid, string>
  /** What no backend has given, or taken as far as is known. */
  readonly unsent: ReadonlySet<string>
}

async function messagesHere(
  account: Account,
  url: string,
  name: string,
  id: string,
  uidValidity: number,
): Promise<MessagesHere> {
  const known = new Map<Uid, string>()
  const unsent = new Set<string>()
  for (const { name: other, selectable } of await account.list()) {
    // A client may have renamed it here as well.
    if (!selectable || (other !== name && (await account.status(other)).mailboxId !== id)) continue
    await using mailbox = await account.open(other)
    if (mailbox.id !== id) continue
    const { messages } = mailbox
    for (let position = messages.length - 1; position >= 0 && known.size < compared; position -= 1) {
      const origin = messages.originAt(position)
      const like = likeness(messages.sizeAt(position), messages.internalDateAt(position))
      if (origin === undefined || isCopy(origin)) unsent.add(like)
      else {
        const from = parseOrigin(url, origin)
        if (from?.uidValidity === uidValidity) known.set(from.uid, like)
      }
    }
    break
  }
  return { known, unsent }
}
