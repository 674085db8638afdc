/**
 * An IMAP backend and an account, brought into step once: the tree, then what is new in each mailbox, on both sides, then what is gone.
 * Safe to stop at any instant: what it stands for is done before a mark becomes durable, and doing it again does nothing. GW-15, GW-22
 * docs/decisions/0090-a-pass-over-an-imap-account.md
 */
import type { Clock } from '#src/base/clock.ts'
import { StoreError } from '#src/base/errors.ts'
import type { MailboxId, ModSeq } from '#src/base/ids.ts'
import type { Log } from '#src/base/log.ts'
import type { Account, Mailbox } from '#src/store/types.ts'
import { BackendError } from '../../backend/errors.ts'
import type { ImapSession } from '../../backend/imap/session.ts'
import type { Injection } from '../inject/injector.ts'
import type { Setbacks } from '../setbacks.ts'
import { isStub } from '../stub.ts'
import type { SyncResult } from '../sync.ts'
import type { Belonging } from './belonging.ts'
import { makeAndRename, remove } from './carry-out-tree.ts'
import { finishMailbox } from './finish-mailbox.ts'
import { isSameMark, type Listing, listThere, statusThere } from './list.ts'
import { type MailboxRest, passMailbox } from './mailbox-pass.ts'
import { BackendMemory, isAmong, type KnownPair, type MailboxMark, type TreeMemory } from './memory.ts'
import type { PassMark } from './observe.ts'
import { parseOrigin } from './origin.ts'
import { withRenamesFound } from './renamed.ts'
import { type MailboxHere, type Pair, planTree, type TreePlan } from './tree.ts'

export interface ImapPolicy {
  /** Before the names here. UDB-09 */
  readonly prefix: string
  readonly belonging: Belonging
  /** GW-22 */
  readonly inboxOnly: boolean
  /** GW-20; 0: all. */
  readonly fetchLastN: number
  /** GW-19 */
  readonly fetchSetSize: number
}

export interface PassRequest {
  /** Of the backend, `imapUrl`: the beginning of its origins. */
  readonly url: string
  readonly session: ImapSession
  readonly account: Account
  readonly policy: ImapPolicy
  readonly injection: Injection
  readonly setbacks: Setbacks
  readonly clock: Clock
  readonly log: Log
}

/** Throws BackendError when the session is lost, StoreError; whatever was done is not done again by the next pass. */
export async function syncAccount(request: PassRequest): Promise<SyncResult> {
  const { session, account, url, log } = request
  const memory = new BackendMemory(account, url)
  const listing = await listThere(session.control)
  const tree = await bringTreesIntoStep(request, memory, listing)
  const totals = new Totals()
  totals.refused = tree.refused
  const rests: { readonly rest: MailboxRest; readonly id: MailboxId }[] = []
  try {
    for (const pair of tree.pairs) {
      const mark = await memory.mark(pair.idHere)
      const until = tree.numbers.get(pair.idHere) ?? (0 as ModSeq)
      totals.mailboxes += 1
      if (pair.remade === undefined && isUnchanged(mark, pair.status, until)) {
        totals.listed += pair.status?.exists ?? 0
        continue
      }
      const rest = await oneMailbox(request, memory, pair, mark, until)
      if (rest === undefined) {
        totals.failed += 1
        if (await hasOwn(request, pair.name)) totals.unfinished = true
        continue
      }
      totals.add(rest)
      // Most have nothing left to do: what was found stands at once.
      if (hasRest(rest)) rests.push({ rest, id: pair.idHere })
      else await conclude(memory, rest, pair.idHere)
    }
    for (const { rest, id } of rests.splice(0)) {
      try {
        // A message that was moved and is not at its new place there is not deleted at the old one.
        const done = await finishMailbox(request, rest, totals.unfinished)
        totals.expungedHere += done.expungedHere
        totals.pushedOut += done.pushedOut
        totals.deletedThere += done.deletedThere
        await conclude(memory, done.rest, id)
      } finally {
        await rest.mailbox.close()
      }
    }
  } finally {
    for (const { rest } of rests) {
      rest.own[Symbol.dispose]()
      await rest.mailbox.close()
    }
  }
  await tree.finish(totals.unfinished)
  if (totals.held > 0)
    log.log('warning', 'messages are missing at the backend; they are kept until the backend proves reliable', {
      missing: totals.held,
    })
  return totals.result()
}

class Totals {
  mailboxes = 0
  listed = 0
  fetched = 0
  fetchedOctets = 0
  sent = 0
  flags = 0
  failed = 0
  held = 0
  expungedHere = 0
  pushedOut = 0
  deletedThere = 0
  /** Something could not be made in the tree. */
  refused = false
  /** Something that may have been moved is not where it is to be. */
  unfinished = false

  add({ counts }: MailboxRest): void {
    this.listed += counts.listed
    this.fetched += counts.fetched
    this.fetchedOctets += counts.fetchedOctets
    this.sent += counts.sent
    this.flags += counts.flags
    this.failed += counts.failed
    this.held += counts.held
    if (counts.unsent > 0) this.unfinished = true
  }

  result(): SyncResult {
    const { refused, unfinished, ...counts } = this
    return counts
  }
}

const hasRest = ({ plan }: MailboxRest): boolean =>
  plan.expungeHere.length + plan.pushOut.length + plan.deleteThere.length + plan.forget.length > 0

/** The mark, once everything that it stands for is done. */
async function conclude(memory: BackendMemory, { mark, own, mailbox }: MailboxRest, id: MailboxId): Promise<void> {
  const numbers = own.numbers
  own[Symbol.dispose]()
  await memory.put(new Map([[id, { ...mark, own: numbers }]]))
  await mailbox.close()
}

/** Nothing happened on either side since the last pass: no need to look into the mailbox. */
function isUnchanged(mark: MailboxMark | undefined, status: PassMark | undefined, here: ModSeq): boolean {
  if (mark?.there === undefined || status?.modSeq === undefined || !isSameMark(mark.there, status)) return false
  if (mark.again !== undefined || mark.sentFrom !== undefined) return false
  // Suspicions end by being looked at again.
  if (mark.suspicion !== undefined || mark.lost !== undefined) return false
  for (let number = mark.here + 1; number <= here; number += 1) if (!isAmong(mark.own, number)) return false
  return true
}

/** Undefined when this mailbox can't be brought into step now, and others may. */
async function oneMailbox(
  request: PassRequest,
  memory: BackendMemory,
  { path, name, idHere, remade, status }: ListedPair,
  mark: MailboxMark | undefined,
  until: ModSeq,
): Promise<MailboxRest | undefined> {
  const { account, session, log } = request
  const complain = (error: Error) =>
    log.log('warning', 'a mailbox is not in step with the backend; it is tried again', {
      mailbox: name,
      reason: error.message,
      ...(error instanceof BackendError ? { reply: error.serverText } : {}),
    })
  let mailbox: Mailbox
  try {
    mailbox = await account.open(name)
  } catch (error) {
    // Removed or renamed since it was listed.
    if (!(error instanceof StoreError) || error.kind !== 'not-found') throw error
    return undefined
  }
  try {
    if (mailbox.id !== idHere) return undefined
    const remember = (changed: MailboxMark) => memory.put(new Map([[idHere, changed]]))
    const rest = await passMailbox({
      ...request,
      path,
      mailbox,
      mark,
      status,
      until,
      remember,
      remade: remade === true,
    })
    return rest
  } catch (error) {
    await mailbox.close()
    const passing =
      error instanceof BackendError && session.control.usable && (error.kind === 'temporary' || error.kind === 'gone')
    const gone = error instanceof StoreError && error.kind === 'not-found'
    if (!passing && !gone) throw error
    complain(error)
    return undefined
  }
}

interface ListedPair extends KnownPair {
  readonly status: PassMark | undefined
}

interface TreeInStep {
  readonly pairs: readonly ListedPair[]
  /** HIGHESTMODSEQ here of each mailbox, of a moment before any of them was looked into. */
  readonly numbers: ReadonlyMap<MailboxId, ModSeq>
  readonly refused: boolean
  /** Removes what is to be removed. `unfinished`: not now. */
  finish(unfinished: boolean): Promise<void>
}

async function bringTreesIntoStep(
  request: PassRequest,
  memory: BackendMemory,
  { mailboxes, namespace }: Listing,
): Promise<TreeInStep> {
  const { account, session, policy, clock, log } = request
  const remembered = withRenamesKnown(await memory.tree(), mailboxes)
  // What is listed and tells no status may be none: only of one that is known it is taken for a passing failure.
  const known = new Set(remembered.pairs.map(({ path }) => path))
  const listedThere = mailboxes.filter(
    // INBOX was looked at when the session began.
    ({ path, status }) => status !== undefined || known.has(path) || path.toUpperCase() === 'INBOX',
  )
  const { pairs, mailboxes: there } = await withRenamesFound(
    { control: session.control, account, url: request.url, memory },
    { pairs: remembered.pairs, mailboxes: listedThere },
  )
  const before = { ...remembered, pairs }
  const { here, elsewhere } = await listHere(request, before.pairs, there)
  const byPath = new Map(there.map((mailbox) => [mailbox.path, mailbox]))
  const byId = new Map(there.flatMap((mailbox) => (mailbox.id === undefined ? [] : [[mailbox.id, mailbox] as const])))
  const changedThere = new Set<string>()
  for (const pair of before.pairs) {
    const mailbox = (pair.idThere === undefined ? undefined : byId.get(pair.idThere)) ?? byPath.get(pair.path)
    if (!isSeen(await memory.mark(pair.idHere), mailbox?.status)) changedThere.add(mailbox?.path ?? pair.path)
  }
  const plan = planTree({
    there,
    here,
    occupied: elsewhere,
    subscribedHere: new Set(await account.subscriptions()),
    pairs: before.pairs,
    changedThere,
    policy: { inboxOnly: policy.inboxOnly, prefix: policy.prefix, namespace, isOurs: policy.belonging.isOurs },
    suspicion: before.suspicion,
    now: Math.floor(clock.now() / 1000),
  })
  if (plan.held > 0)
    log.log('warning', 'mailboxes are missing at the backend; they are kept until the backend proves reliable', {
      missing: plan.held,
    })
  const sides = { control: session.control, account, log }
  const createThere = new Set(plan.createThere)
  const announced = before.pairs.map((pair) => changing(pair, createThere, plan.renameThere, there[0]?.delimiter))
  const remade = new Set(announced.flatMap(({ idHere, remade }) => (remade === true ? [idHere] : [])))
  const made = await makeAndRename(sides, plan, there[0]?.delimiter, () =>
    memory.put(new Map(), { ...before, pairs: announced }),
  )
  const listed = new Map(listedThere.map((mailbox) => [mailbox.path, mailbox]))
  const numbers = new Map<MailboxId, ModSeq>()
  const subscribed = new Set(await account.subscriptions())
  const paired: (KnownPair & { readonly isListed: boolean })[] = []
  for (const { path, name } of plan.paired) {
    const id = await idOf(account, name, numbers)
    const isListed = listed.has(path) || made.pathsThere.has(path)
    // What is not listed now, and not believed to be gone, stays paired.
    if (id === undefined || (!isListed && plan.held === 0)) continue
    const idThere = listed.get(path)?.id
    const isRemade = remade.has(id) ? { remade: true as const } : {}
    paired.push({ path, idThere, name, idHere: id, subscribed: subscribed.has(name), isListed, ...isRemade })
  }
  const agreed = paired.map(({ isListed, remade, ...pair }) => pair)
  const staying = new Set(agreed.map(({ idHere }) => idHere))
  const gone = before.pairs.filter(({ idHere }) => !staying.has(idHere))
  const removals = new Set([...plan.removeHere, ...plan.removeThere])
  // What is still to be removed stays known until it is.
  const leaving = gone.filter(({ path, name }) => removals.has(path) || removals.has(name))
  const suspicion = plan.suspicion === undefined ? {} : { suspicion: plan.suspicion }
  await memory.put(new Map(), { pairs: [...paired.map(({ isListed, ...pair }) => pair), ...leaving], ...suspicion })
  return {
    pairs: paired
      .filter(({ isListed }) => isListed)
      .map(({ isListed, ...pair }) => ({ ...pair, status: listed.get(pair.path)?.status }))
      .sort((a, b) => Number(b.name === 'INBOX') - Number(a.name === 'INBOX')),
    numbers,
    refused: made.refused,
    async finish(unfinished) {
      if (leaving.length === 0 || unfinished) {
        if (remade.size > 0) await memory.put(new Map(), { pairs: [...agreed, ...leaving], ...suspicion })
        return
      }
      const marks = new Map<string, MailboxMark | undefined>()
      for (const { path, idHere } of leaving) marks.set(path, await memory.mark(idHere))
      await remove(sides, plan, {
        there: async (path) => isSeen(marks.get(path), await statusThere(session.control, path)),
        here: async (name) => !(await hasOwn(request, name)),
      })
      await memory.put(new Map(leaving.map(({ idHere }) => [idHere, undefined])), { pairs: agreed, ...suspicion })
    },
  }
}

/** There is no message there that was not seen here. */
const isSeen = (mark: MailboxMark | undefined, status: PassMark | undefined): boolean =>
  mark?.there !== undefined &&
  status !== undefined &&
  mark.there.uidValidity === status.uidValidity &&
  status.uidNext <= mark.seenBelow &&
  (mark.pending ?? []).length === 0

/** A RENAME there that was begun, and may not have been carried out. */
function withRenamesKnown(memory: TreeMemory, there: Listing['mailboxes']): TreeMemory {
  const paths = new Set(there.map(({ path }) => path))
  return {
    ...memory,
    pairs: memory.pairs.map(({ formerPath, ...pair }) =>
      formerPath !== undefined && !paths.has(pair.path) && paths.has(formerPath) ? { ...pair, path: formerPath } : pair,
    ),
  }
}

/** As it is to be known while the plan is carried out. */
function changing(
  pair: KnownPair,
  createThere: ReadonlySet<string>,
  renameThere: TreePlan['renameThere'],
  delimiter: string | undefined,
): KnownPair {
  if (createThere.has(pair.path)) return { ...pair, remade: true }
  for (const { from, to } of renameThere) {
    const isBelow = delimiter !== undefined && pair.path.startsWith(from + delimiter)
    if (pair.path === from || isBelow)
      return { ...pair, path: to + pair.path.slice(from.length), formerPath: pair.path }
  }
  return pair
}

async function listHere(
  request: PassRequest,
  pairs: readonly Pair[],
  there: Listing['mailboxes'],
): Promise<{ readonly here: readonly MailboxHere[]; readonly elsewhere: ReadonlySet<string> }> {
  const { account, policy } = request
  const paths = new Set(there.map(({ path }) => path))
  const missing = new Set(pairs.flatMap(({ path, idHere }) => (paths.has(path) ? [] : [idHere])))
  const paired = new Set(pairs.map(({ idHere }) => idHere))
  const here: MailboxHere[] = []
  const elsewhere = new Set<string>()
  for (const { name, selectable } of await account.list()) {
    const id = selectable ? await idOf(account, name) : undefined
    if (id === undefined) continue
    const { isOurs, elsewhere: theirs } = policy.belonging
    // What is paired stays so, whatever backends are added.
    if (paired.has(id) || (isOurs(name) && !theirs.has(id)))
      here.push({ name, id, hasOwn: missing.has(id) && (await hasOwn(request, name)) })
    else elsewhere.add(name)
  }
  return { here, elsewhere }
}

/** Undefined when there is no such mailbox (any more). Notes its HIGHESTMODSEQ. */
async function idOf(account: Account, name: string, numbers?: Map<MailboxId, ModSeq>): Promise<MailboxId | undefined> {
  try {
    const { mailboxId, highestModSeq } = await account.status(name)
    numbers?.set(mailboxId, highestModSeq)
    return mailboxId
  } catch (error) {
    if (error instanceof StoreError && error.kind === 'not-found') return undefined
    throw error
  }
}

/** Messages that this backend never had. */
async function hasOwn({ account, url }: PassRequest, name: string): Promise<boolean> {
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
