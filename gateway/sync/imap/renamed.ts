/**
 * Mailboxes that were renamed at a server that tells no ids of them (RFC 8474): most servers keep UIDVALIDITY, and with it the UIDs. Two mailboxes
 * may have the same one, so what is known of the messages has to agree too.
 */
import type { Uid } from '#src/base/ids.ts'
import type { Account } from '#src/store/types.ts'
import { formatUids } from '#src/store/uid-set.ts'
import type { ImapFlow } from '../../backend/imap/control.ts'
import type { ListedMailbox } from './list.ts'
import type { BackendMemory, KnownPair, MailboxMark } from './memory.ts'
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
  const lost: { readonly pair: KnownPair; readonly there: NonNullable<MailboxMark['there']> }[] = []
  const kept = new Set<string>()
  for (const pair of pairs) {
    const there = (await memory.mark(pair.idHere))?.there
    const status = byPath.get(pair.path)?.status
    if (there === undefined || status?.uidValidity === there.uidValidity) kept.add(pair.path)
    else lost.push({ pair, there })
  }
  const found = new Map<KnownPair, ListedMailbox>()
  for (const { pair, there } of lost) {
    const candidates = mailboxes.filter(
      ({ path, status }) =>
        !kept.has(path) && status?.uidValidity === there.uidValidity && status.uidNext >= there.uidNext,
    )
    const [candidate] = candidates
    if (candidates.length !== 1 || candidate === undefined) continue
    if (await areSameMessages({ control, account, url }, pair, candidate.path, there.uidValidity))
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
): Promise<boolean> {
  const known = await newestHere(account, url, name, idHere, uidValidity)
  if (known.size === 0) return false
  const mailbox = await control.mailboxOpen(path, { readOnly: true })
  if (Number(mailbox.uidValidity) !== uidValidity || mailbox.exists === 0) return false
  let same = 0
  const uids = [...known.keys()].sort((a, b) => a - b)
  const query = { uid: true, size: true, internalDate: true }
  for await (const { uid, size, internalDate } of control.fetch(formatUids(uids), query, { uid: true })) {
    const record = known.get(uid as Uid)
    const seconds = internalDate === undefined ? Number.NaN : new Date(internalDate).getTime() / 1000
    if (record === undefined) continue
    if (record.sizeOctets !== size || record.internalDate !== seconds) return false
    same += 1
  }
  return same > 0
}

interface Known {
  readonly sizeOctets: number
  readonly internalDate: number
}

async function newestHere(
  account: Account,
  url: string,
  name: string,
  id: string,
  uidValidity: number,
): Promise<ReadonlyMap<Uid, Known>> {
  const known = new Map<Uid, Known>()
  for (const { name: other, selectable } of await account.list()) {
    // A client may have renamed it here as well.
    if (!selectable || (other !== name && (await account.status(other)).mailboxId !== id)) continue
    await using mailbox = await account.open(other)
    if (mailbox.id !== id) continue
    const { messages } = mailbox
    for (let position = messages.length - 1; position >= 0 && known.size < compared; position -= 1) {
      const origin = messages.originAt(position)
      const from = origin === undefined ? undefined : parseOrigin(url, origin)
      if (from?.uidValidity !== uidValidity) continue
      known.set(from.uid, {
        sizeOctets: messages.sizeAt(position),
        internalDate: messages.internalDateAt(position),
      })
    }
    return known
  }
  return known
}
