/**
 * Messages that a client copied or moved here from one mailbox of a backend to another are copied or moved there as well: nothing is sent, and
 * they stay what they are there. UID MOVE (RFC 6851) where the message left its old place here, else UID COPY; the new UIDs are told by COPYUID
 * (RFC 4315 §3). Whatever can't be done this way is sent. docs/decisions/0095-moved-there-not-sent.md
 */
import { StoreError } from '#src/base/errors.ts'
import type { MailboxId, ModSeq, Uid } from '#src/base/ids.ts'
import type { Log } from '#src/base/log.ts'
import { copySource } from '#src/store/copy-origin.ts'
import type { Account, Flag, Mailbox } from '#src/store/types.ts'
import { formatUids } from '#src/store/uid-set.ts'
import { BackendError } from '../../backend/errors.ts'
import type { ImapFlow } from '../../backend/imap/control.ts'
import { Journal } from '../inject/journal.ts'
import { originOf, parseOrigin } from './origin.ts'
import { readOriginals } from './originals.ts'
import { openAgain, sets, storeFlags } from './remote.ts'
import { kept } from './send.ts'

/** A mailbox of the backend that messages may have come from. */
export interface Sibling {
  readonly path: string
  /** Here. */
  readonly name: string
  /** Deletions by clients up to this one are told to the backend. */
  readonly until: ModSeq
  /** UIDs there of what was moved away in this pass. */
  readonly moved: Set<Uid>
}

export interface RelocateRequest {
  readonly control: ImapFlow
  readonly account: Account
  readonly url: string
  readonly siblings: ReadonlyMap<MailboxId, Sibling>
  readonly path: string
  readonly uidValidity: number
  /** They are in now, open. */
  readonly mailbox: Mailbox
  /** UIDs here. */
  readonly uids: readonly Uid[]
  /** The flags that the backend can keep; undefined: any. */
  readonly permanent: ReadonlySet<Flag> | undefined
  readonly log: Log
}

export interface Relocated {
  readonly relocated: number
  /** UIDs here of what may be there now: the backend did not tell. */
  readonly untold: readonly Uid[]
  /** UIDs here of what has to be sent. */
  readonly left: readonly Uid[]
}

/** What came from one mailbox: UIDs there, and here what was made of them. */
interface Group {
  readonly sibling: Sibling
  readonly uidValidity: number
  readonly uids: ReadonlyMap<Uid, Uid>
}

/** Old and new UIDs there. */
type Pairs = readonly (readonly [from: Uid, to: Uid])[]

/** With the mailbox selected, before and after. Throws BackendError when the session is lost, StoreError; what was done is found by the next pass. */
export async function relocate(request: RelocateRequest): Promise<Relocated> {
  const { control, url, path, uidValidity, mailbox } = request
  const { groups, left } = groupsOf(request)
  if (groups.length === 0) return { relocated: 0, untold: [], left }
  const given = new Map<Uid, Uid>()
  const untold: Uid[] = []
  for (const group of groups) {
    const outcome = await relocateGroup(request, group)
    for (const [from, to] of outcome.pairs) given.set(group.uids.get(from)!, to)
    for (const from of outcome.untold) untold.push(group.uids.get(from)!)
    const settled = new Set([...outcome.pairs.map(([from]) => from), ...outcome.untold])
    for (const [from, here] of group.uids) if (!settled.has(from)) left.push(here)
  }
  await openAgain(control, path, uidValidity)
  const records = [...given.keys()].flatMap((uid) => mailbox.byUid(uid) ?? [])
  // At the old place they may have had others. Before they are known by their new UIDs: from then on flags there count.
  await storeFlags(
    control,
    records.map(({ uid, flags }) => ({ uid: given.get(uid)!, set: kept(flags, request.permanent) })),
  )
  const originals = await readOriginals(request.account, url, mailbox.id, records)
  const journal = new Journal(request.account, mailbox.id)
  await Promise.all(
    records.flatMap(({ uid, origin = '' }) => {
      const entry = originals.get(origin)
      return entry === undefined ? [] : [journal.record(originOf(url, uidValidity, given.get(uid)!), entry)]
    }),
  )
  if (given.size > 0)
    await mailbox.giveOrigins(Array.from(given, ([uid, to]) => [uid, originOf(url, uidValidity, to)] as const))
  return { relocated: given.size, untold, left: left.sort((a, b) => a - b) }
}

function groupsOf({ control, url, siblings, mailbox, uids }: RelocateRequest): { groups: Group[]; left: Uid[] } {
  const groups = new Map<string, Group & { readonly uids: Map<Uid, Uid> }>()
  const left: Uid[] = []
  for (const uid of uids) {
    const source = copySource(mailbox.byUid(uid)?.origin ?? '')
    const from = source === undefined ? undefined : parseOrigin(url, source.origin)
    const sibling = source === undefined ? undefined : siblings.get(source.mailboxId)
    if (from === undefined || from.uidValidity === 0 || sibling === undefined || !control.capabilities.has('UIDPLUS')) {
      left.push(uid)
      continue
    }
    const key = `${from.uidValidity} ${sibling.path}`
    const group = groups.get(key) ?? { sibling, uidValidity: from.uidValidity, uids: new Map<Uid, Uid>() }
    groups.set(key, group)
    // A second copy of the same message.
    if (group.uids.has(from.uid)) left.push(uid)
    else group.uids.set(from.uid, uid)
  }
  return { groups: [...groups.values()], left }
}

async function relocateGroup(
  request: RelocateRequest,
  group: Group,
): Promise<{ readonly pairs: Pairs; readonly untold: readonly Uid[] }> {
  const { control, path } = request
  const { sibling, uidValidity } = group
  try {
    await openAgain(control, sibling.path, uidValidity)
  } catch (error) {
    if (!(error instanceof BackendError) || !control.usable) throw error
    return { pairs: [], untold: [] }
  }
  const pairs: Pairs[number][] = []
  const untold: Uid[] = []
  const isMovable = control.capabilities.has('MOVE') && sibling.path !== path
  const leaving = isMovable ? await leavingHere(request, group) : new Set<Uid>()
  const staying = [...group.uids.keys()].filter((uid) => !leaving.has(uid))
  for (const set of sets([...leaving])) {
    const told = await carryOut(request, sibling, set, 'messageMove')
    if (told !== undefined) {
      for (const [from] of told) sibling.moved.add(from)
      pairs.push(...told)
      continue
    }
    // Refused, perhaps half way through (RFC 6851 §3.3).
    const still = await among(control, set)
    staying.push(...still)
    untold.push(...set.filter((uid) => !still.has(uid)))
  }
  for (const set of sets(staying)) {
    const told = await carryOut(request, sibling, set, 'messageCopy')
    if (told === undefined) continue
    pairs.push(...told)
    // What is there and was copied without a word.
    if (told.length === 0) untold.push(...(await among(control, set)))
  }
  return { pairs, untold }
}

/** Of these, UIDs of the selected mailbox. */
async function among(control: ImapFlow, set: readonly Uid[]): Promise<ReadonlySet<Uid>> {
  const found = (await control.search({ uid: formatUids(set) }, { uid: true })) as Uid[] | false
  if (found === false) throw new BackendError('temporary', 'the backend refused to search')
  const asked = new Set(set)
  return new Set(found.filter((uid) => asked.has(uid)))
}

/** What is not at its old place here any more. */
async function leavingHere(
  { account, url }: RelocateRequest,
  { sibling, uidValidity, uids }: Group,
): Promise<Set<Uid>> {
  const leaving = new Set<Uid>()
  const mailbox = await account.open(sibling.name).catch((error: unknown) => {
    // Removed or renamed since it was listed: in doubt everything stays there.
    if (!(error instanceof StoreError) || error.kind !== 'not-found') throw error
  })
  if (mailbox === undefined) return leaving
  await using source = mailbox
  await source.refresh()
  for (const uid of uids.keys()) {
    const state = source.byOrigin(originOf(url, uidValidity, uid))
    if (state?.present === false && state.cause === 'client' && state.modSeq <= sibling.until) leaving.add(uid)
  }
  return leaving
}

/** Undefined: refused. What is gone there, and all that the backend says nothing about, is missing. */
async function carryOut(
  { control, path, uidValidity, log }: RelocateRequest,
  { path: from }: Sibling,
  set: readonly Uid[],
  word: 'messageMove' | 'messageCopy',
): Promise<Pairs | undefined> {
  const told = await control[word](formatUids(set), path, { uid: true }).catch(() => false as const)
  if (!control.usable) throw new BackendError('closed', 'the backend ended the session')
  const isMove = word === 'messageMove'
  if (!told || (isMove && told.uidMap === undefined)) {
    log.log('info', 'the backend did not move or copy messages, or did not tell', { from, to: path, isMove })
    return undefined
  }
  if (told.uidMap === undefined) return []
  if (Number(told.uidValidity) !== uidValidity)
    throw new BackendError('temporary', 'a mailbox at the backend was replaced meanwhile')
  const asked = new Set(set)
  return Array.from(told.uidMap, ([uid, to]) => [uid as Uid, to as Uid] as const).filter(([uid]) => asked.has(uid))
}
