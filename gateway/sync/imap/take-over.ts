/**
 * Messages that are new in a mailbox there and are here already, in another one: they are copied here, not fetched. What was moved there vanished
 * from a mailbox in the same pass: it is told by size, date and header (decision 92). What came in this pass and is in several mailboxes, as
 * with labels, is told by its id there: EMAILID (RFC 8474 §5.1), X-GM-MSGID. docs/decisions/0096-not-fetched-twice.md
 */
import { StoreError } from '#src/base/errors.ts'
import type { Uid } from '#src/base/ids.ts'
import type { Account, Flag, Mailbox, MessageRecord } from '#src/store/types.ts'
import type { ImapFlow } from '../../backend/imap/control.ts'
import { flagsHere } from './flags-here.ts'
import { factsOf, headerHere, headersOf } from './match.ts'
import { originOf } from './origin.ts'
import { sets } from './remote.ts'

/** A message here. `name`: of its mailbox. */
interface Known {
  readonly name: string
  readonly mailboxId: string
  readonly record: MessageRecord
}

/** As many messages are remembered of one pass. What is more is fetched again. */
const mostKnown = 200_000

/** What a pass has met that may turn up in another mailbox. */
export class Met {
  readonly #byId = new Map<string, Known>()
  readonly #vanished = new Map<string, Known[]>()
  #count = 0

  /** It is in a mailbox there, too. */
  came(mailbox: Mailbox, id: string, record: MessageRecord): void {
    if (this.#count < mostKnown && !this.#byId.has(id)) {
      this.#count += 1
      this.#byId.set(id, { name: mailbox.name, mailboxId: mailbox.id, record })
    }
  }

  /** It is not in its mailbox there any more. */
  vanished(mailbox: Mailbox, record: MessageRecord): void {
    if (this.#count >= mostKnown) return
    this.#count += 1
    const key = likeness(record)
    const known = { name: mailbox.name, mailboxId: mailbox.id, record }
    const alike = this.#vanished.get(key)
    if (alike === undefined) this.#vanished.set(key, [known])
    else alike.push(known)
  }

  get isEmpty(): boolean {
    return this.#count === 0
  }

  get hasVanished(): boolean {
    return this.#vanished.size > 0
  }

  byId(id: string | undefined): Known | undefined {
    return id === undefined ? undefined : this.#byId.get(id)
  }

  vanishedLike(facts: Facts): readonly Known[] {
    return this.#vanished.get(likeness(facts)) ?? []
  }
}

interface Facts {
  readonly sizeOctets: number
  /** Seconds since 1970. */
  readonly internalDate: number
}

const likeness = ({ sizeOctets, internalDate }: Facts): string => `${sizeOctets} ${internalDate}`

export interface TakeOverRequest {
  readonly control: ImapFlow
  readonly account: Account
  readonly url: string
  readonly uidValidity: number
  /** That they are to come into, open; its likeness there is selected. */
  readonly mailbox: Mailbox
  /** UIDs there. */
  readonly wanted: readonly Uid[]
  /** By UID there, as far as the backend tells them. */
  readonly ids: ReadonlyMap<Uid, string>
  /** By UID there, as this store can keep them. */
  readonly flagsOf: (uid: Uid) => readonly Flag[]
  readonly met: Met
}

/** Answers the UIDs there of what is here now. Throws BackendError and StoreError. */
export async function takeOver(request: TakeOverRequest): Promise<ReadonlySet<Uid>> {
  const { control, met, wanted, ids } = request
  const taken = new Set<Uid>()
  if (met.isEmpty) return taken
  const asked = met.hasVanished ? wanted : wanted.filter((uid) => met.byId(ids.get(uid)) !== undefined)
  const facts = await factsOf(control, asked)
  const found = new Map<Uid, Known>()
  const unclear: Uid[] = []
  for (const [uid, of] of facts) {
    const known = met.byId(ids.get(uid))
    // A backend that gives one id to different messages is not believed.
    if (known !== undefined && likeness(known.record) === likeness(of)) found.set(uid, known)
    else if (met.vanishedLike(of).length > 0) unclear.push(uid)
  }
  for (const set of sets(unclear))
    for (const [uid, header] of await headersOf(control, set)) {
      const same: Known[] = []
      for (const known of met.vanishedLike(facts.get(uid)!))
        if ((await headerOf(request.account, known)) === header) same.push(known)
      if (same.length === 1) found.set(uid, same[0]!)
    }
  const byMailbox = Map.groupBy(found, ([, { name }]) => name)
  for (const [name, pairs] of byMailbox) for (const uid of await copyFrom(request, name, pairs)) taken.add(uid)
  return taken
}

/** Digest; undefined where the message is gone. */
async function headerOf(account: Account, { name, mailboxId, record }: Known): Promise<string | undefined> {
  return await unlessGone(async () => {
    await using mailbox = await account.open(name)
    return mailbox.id === mailboxId ? await headerHere(mailbox, record) : undefined
  })
}

async function copyFrom(
  { account, url, uidValidity, mailbox, flagsOf }: TakeOverRequest,
  name: string,
  pairs: readonly (readonly [there: Uid, known: Known])[],
): Promise<readonly Uid[]> {
  const there = new Map<Uid, Uid>()
  for (const [uid, { record }] of pairs) if (!there.has(record.uid)) there.set(record.uid, uid)
  const copied = await unlessGone(async () => {
    await using source = await account.open(name)
    if (source.id !== pairs[0]![1].mailboxId) return undefined
    const origins = new Map(Array.from(there, ([here, uid]) => [here, originOf(url, uidValidity, uid)] as const))
    return await source.copyTo([...there.keys()], mailbox, { origins })
  })
  if (copied === undefined) return []
  const changes = copied.pairs.map(([source, uid]) => ({ uid, flags: flagsOf(there.get(source)!) }))
  await flagsHere(mailbox, changes, mailbox.highestModSeq)
  return copied.pairs.map(([source]) => there.get(source)!)
}

async function unlessGone<T>(work: () => Promise<T | undefined>): Promise<T | undefined> {
  try {
    return await work()
  } catch (error) {
    const isGone = error instanceof StoreError && ['not-found', 'expunged', 'damaged'].includes(error.kind)
    if (!isGone) throw error
    return undefined
  }
}
