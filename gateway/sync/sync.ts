/**
 * One maildrop and one mailbox, brought into step: list, identify, plan, apply. Safe to stop at any instant: an origin is
 * committed with its message, and whatever was not done is seen again in the next listing.
 */
import { isDeepStrictEqual } from 'node:util'
import type { Clock } from '#src/base/clock.ts'
import type { Uid } from '#src/base/ids.ts'
import type { Log } from '#src/base/log.ts'
import type { Account, Mailbox } from '#src/store/types.ts'
import { BackendError } from '../backend/errors.ts'
import type { BackendProfile } from '../backend/profile.ts'
import { Slice } from '../backend/slice.ts'
import type { Listed, PopClient } from '../backend/types.ts'
import { rescueByTop } from './by-top.ts'
import { learnFromListings, learnFromPlan, type Pace, paceOf, removes, withByHeaders } from './canary.ts'
import { headerDigest, headerLimit } from './header.ts'
import type { Injection } from './inject/injector.ts'
import { forgetInjected, type Injected, readInjected } from './inject/journal.ts'
import { climb } from './ladder.ts'
import {
  type BackendMemory,
  readContents,
  readMemory,
  withDeletionsOf,
  writtenContents,
  writtenMemory,
} from './memory.ts'
import { hasUniqueId, type Identified, identify, type KnownOrigins } from './origin.ts'
import {
  type Departed,
  deletionsConfirmed,
  isPending,
  type Plan,
  type PlanInput,
  type Policy,
  plan,
  retrievalConfirmed,
  submissionConfirmed,
  underPolicy,
} from './plan.ts'
import { rematch } from './rematch.ts'
import type { Setbacks, Trouble } from './setbacks.ts'
import { clearStubs } from './stub.ts'

export interface SyncRequest {
  /** Of the maildrop, `backendUrl`: the beginning of its origins. */
  readonly url: string
  /** Open; at the end of its session afterwards. */
  readonly client: PopClient
  /** Another session with the same maildrop. */
  readonly reopen: () => Promise<PopClient>
  /** Of the backend's host. */
  readonly profile: BackendProfile
  readonly account: Account
  /** Open. */
  readonly mailbox: Mailbox
  readonly policy: Policy
  /** Origins of messages that left the mailbox for another backend's and are not there yet. Throws StoreError. */
  readonly awaited: () => Promise<ReadonlySet<string>>
  /** The way that fetched messages take. */
  readonly injection: Injection
  /** Messages that failed before; shared by the sessions of one backend account. */
  readonly setbacks: Setbacks
  readonly clock: Clock
  readonly log: Log
}

export interface SyncResult {
  /** At the backend. */
  readonly mailboxes: number
  /** Messages at the backend. */
  readonly listed: number
  readonly fetched: number
  readonly fetchedOctets: number
  /** Refused or unreadable; asked for again later. */
  readonly failed: number
  /** Mailboxes there that are listed and don't open, each of which counts as one that failed; absent: none. */
  readonly leftOut?: readonly string[]
  readonly expungedHere: number
  readonly pushedOut: number
  readonly deletedThere: number
  /** Put there because they were put here. */
  readonly sent: number
  /** Copied or moved there because they were copied or moved here. */
  readonly relocated: number
  /** Of those, what left its old place there by the same command. */
  readonly moved: number
  /** Messages whose flags were changed on one side because of the other. */
  readonly flags: number
  /** Of those, messages there. */
  readonly flagsThere: number
  /** Missing at the backend, kept here because the listing is not believed. */
  readonly held: number
  /** Of those, announced ones that have not come: nobody has their octets now. Absent: none. */
  readonly toCome?: number
  /** The backend said that it answers slower, because too much is asked of it. */
  readonly slowed: boolean
}

/** Up to the confirmed QUIT. Throws BackendError (session lost; what arrived is stored) and StoreError; the caller closes then. */
export const syncMaildrop = async (request: SyncRequest): Promise<SyncResult> => {
  const first = await syncSession(request)
  if (first.trial === undefined) return first.result
  const client = await request.reopen()
  try {
    const { result } = await syncSession({ ...request, client }, first.trial)
    const { fetched, fetchedOctets } = first.result
    return { ...result, fetched: fetched + result.fetched, fetchedOctets: fetchedOctets + result.fetchedOctets }
  } finally {
    client.close()
  }
}

/** `before`, and `trial`: the listing of a session in which only one message was taken, to see what becomes of it. */
const syncSession = async (
  request: SyncRequest,
  before?: readonly Listed[],
): Promise<{ readonly result: SyncResult; readonly trial?: readonly Listed[] }> => {
  const { url, client, profile, account, mailbox, policy, clock, log } = request
  await mailbox.refresh()
  const memoryKey = `backend ${url}`
  const stored = readMemory(await account.get(memoryKey), mailbox.id)
  let written = stored
  const remember = async (now: BackendMemory): Promise<void> => {
    if (!isDeepStrictEqual(now, written)) await account.put({ [memoryKey]: writtenMemory(now, mailbox.id) })
    written = now
  }
  const memory = underPolicy(stored, policy, mailbox.highestModSeq)
  const contents = readContents(await account.get(contentsKey(url)), mailbox.id)
  const injected = await readInjected(account, mailbox.id, url)
  const known = await knownOrigins(mailbox, url, contents, injected, (left) => isPending(left, memory, policy))
  const listing = (await client.uidl()) ?? withoutUidl(client.count, known)
  const changed = before !== undefined && learnFromListings(before, listing.listed, profile, log)
  const isNew = known.all()[Symbol.iterator]().next().done === true
  const told =
    changed || (isNew && profile.learned.unstableUidls === true) ? withByHeaders(memory, profile, log) : memory
  const named = told.byHeaders === true ? withoutUidls(listing.listed) : listing.listed
  const listed = await identify(url, named, known, client)
  // Where what was given is not listed any more, nothing is to be found: and there may be much to compare.
  const found = removes(memory, profile) ? 0 : await rematch({ client, mailbox, listed, known, present: known.present })
  if (found > 0)
    log.log('notice', 'the backend lists messages under other names than before; they are not fetched again', {
      messages: found,
    })
  // Nothing was ever listed here under its name again: it won't be the next time.
  const isUnstable = found > listed.length / 2 && !memory.keeps
  const complete = listing.complete && listed.length === listing.listed.length
  const steps = await plan({
    listed,
    complete,
    expires: client.capabilities.expireDays !== undefined,
    present: known.present,
    departed: known.departed,
    away: known.away,
    awaited: known.departed.size > 0 ? await request.awaited() : new Set(),
    sizes: await sizesFor(listed, known, client),
    receivedAt: (uid) => mailbox.byUid(uid)?.internalDate ?? 0,
    memory: isUnstable ? withByHeaders(told, profile, log) : told,
    policy,
    now: Math.floor(clock.now() / 1_000),
  })
  // What guards an origin against a second DELE goes only after the mailbox has forgotten the origin.
  await remember(withDeletionsOf(memory, steps.memory))
  if (steps.forget.length + steps.readmit.length > 0) await mailbox.forget([...steps.forget, ...steps.readmit])
  await remember(steps.memory)
  await forgetInjected(account, mailbox.id, noLongerInjected(injected, known, new Set(steps.forgetAway)))
  if (steps.held > 0)
    log.log(
      steps.held === stored.held ? 'debug' : 'warning',
      'messages are missing at the backend; they are kept until the backend proves reliable',
      {
        missing: steps.held,
        listed: listed.length,
      },
    )
  if (steps.withheld > 0)
    log.log('warning', 'deleted messages are listed again, or others under their unique-ids; they are left alone', {
      messages: steps.withheld,
    })
  const from = mailbox.uidNext
  learnFromPlan(steps, profile, log)
  const pace = paceOf(steps, profile, client.capabilities, before !== undefined)
  const { result, leftAway, deleted } = await apply(request, steps, pace, listed.length)
  const wanted = new Set([...steps.fetch.map(({ origin }) => origin), ...known.away.keys()])
  for (const origin of steps.forgetAway) wanted.delete(origin)
  const isListed = (origin: string) => wanted.has(origin) || !complete || (!steps.believed && steps.held > 0)
  await clearStubs(mailbox, url, (origin) => mailbox.byOrigin(origin)?.present === true || !isListed(origin))
  await client.quit()
  // Only now: a deletion that was not confirmed is asked for again, and a server may remove at QUIT what it gave.
  const confirmed = deletionsConfirmed(steps.memory, deleted)
  const given = result.fetched > 0 ? retrievalConfirmed(confirmed, from, mailbox.uidNext) : confirmed
  await remember(leftAway > 0 ? submissionConfirmed(given, Math.floor(clock.now() / 1_000)) : given)
  return pace === 'one' ? { result, trial: listing.listed } : { result }
}

/** Entries of the journal that nothing needs: the message came back and is told by its unique-id, or the backend has it no more. */
const noLongerInjected = (
  injected: ReadonlyMap<string, Injected>,
  { present, departed }: Pick<PlanInput, 'present' | 'departed'>,
  forgotten: ReadonlySet<string>,
): readonly string[] =>
  [...injected].flatMap(([origin, { digest }]) => {
    const cameBack = present.has(origin) || departed.has(origin)
    return forgotten.has(origin) || (cameBack && digest === undefined) ? [origin] : []
  })

const apply = async (
  request: SyncRequest,
  steps: Plan,
  pace: Pace,
  listed: number,
): Promise<{ result: SyncResult; leftAway: number; deleted: readonly Uid[] }> => {
  const { client, mailbox, log } = request
  const uids = new Map(
    steps.deleteThere.flatMap(({ number, origin }) => {
      const left = mailbox.byOrigin(origin)
      return left === undefined ? [] : [[number, left.uid] as const]
    }),
  )
  const expunged = steps.expungeHere.length > 0 ? await mailbox.expunge(steps.expungeHere, 'backend') : []
  const { fetched, fetchedOctets, leftAway, failed } = await fetchMessages(request, steps.fetch, pace)
  const pushedOut = steps.pushOut.length > 0 ? await mailbox.expunge(steps.pushOut, 'window') : []
  const kept = await client.remove(steps.deleteThere.map(({ number }) => number))
  for (const [number, error] of kept) {
    uids.delete(number)
    log.log('warning', 'the backend does not delete a message', { reply: error.serverText })
  }
  const result = {
    mailboxes: 1,
    listed,
    fetched,
    fetchedOctets,
    failed,
    expungedHere: expunged.length,
    pushedOut: pushedOut.length,
    deletedThere: uids.size,
    sent: 0,
    relocated: 0,
    moved: 0,
    flags: 0,
    flagsThere: 0,
    held: steps.held,
    slowed: false,
  }
  return { result, leftAway, deleted: [...uids.values()] }
}

/** Announced octets, asked for only when a deletion may go by a unique-id; a server that refuses LIST leaves them unknown. */
const sizesFor = async (
  listed: readonly Identified[],
  known: Awaited<ReturnType<typeof knownOrigins>>,
  client: PopClient,
): Promise<ReadonlyMap<number, number>> => {
  if (known.departed.size === 0 || !listed.some(({ origin }) => hasUniqueId(origin) && known.pending(origin)))
    return new Map()
  try {
    return await client.list()
  } catch (error) {
    if (error instanceof BackendError && !error.retryable) return new Map()
    throw error
  }
}

const fetchMessages = async (
  request: SyncRequest,
  wanted: readonly Identified[],
  pace: Pace,
): Promise<{ fetched: number; fetchedOctets: number; leftAway: number; failed: number }> => {
  const { client, mailbox, setbacks, clock, log } = request
  const { now: ready, later } = setbacks.order(wanted, ({ origin }) => origin, clock.now(), request.url)
  const now = pace === 'one' ? ready.slice(0, 1) : ready
  const byNumber = new Map(now.map((entry) => [entry.number, entry]))
  const octets = client.count === 0 ? 0 : Math.round((client.octets / client.count) * now.length)
  const injector = request.injection.into({ ...request, expected: { messages: now.length, octets } })
  let answered = 0
  /** By origin: why it did not come. */
  const missed = new Map<string, Trouble>()
  let broken: string | undefined
  let lost: unknown
  const retrieve = (entries: readonly Identified[]) =>
    client.retrieve(
      entries.map(({ number }) => number),
      (number) => {
        const entry = byNumber.get(number)!
        answered++
        const sink = injector.open({ ...entry, isCompared: !hasUniqueId(entry.origin) }, () => {
          missed.set(entry.origin, { why: 'sent nothing when it was asked for it', isRefused: true })
        })
        const abort = (reason: Error) => {
          broken = entry.origin
          sink.abort(reason)
        }
        return { write: (chunk) => sink.write(chunk), end: () => sink.end(), abort }
      },
      (number, error) => {
        answered++
        missed.set(byNumber.get(number)!.origin, {
          why: `said: ${error.serverText ?? ''}`,
          isRefused: error.kind === 'permanent' || error.kind === 'unsupported',
        })
        log.log('warning', 'the backend does not give a message; it will be asked for again', {
          number,
          reply: error.serverText,
        })
      },
    )
  try {
    if (pace === 'all') await retrieve(now)
    else
      for (const entry of now) {
        await retrieve([entry])
        await injector.finish()
      }
  } catch (error) {
    // A session that we ended ourselves, for a failure of ours or none, says nothing about a message.
    const ours = !(error instanceof BackendError) || error.kind === 'stopped'
    lost = ours && error instanceof BackendError ? (error.cause ?? error) : error
    // The message that was asked for when the session ended may be the reason: it goes to the end of the queue.
    const suspect = broken ?? now[answered]?.origin
    if (ours) missed.clear()
    else if (suspect !== undefined)
      missed.set(suspect, { why: 'ended the session when it was asked for it', isRefused: false })
  }
  try {
    await injector.finish()
  } catch (error) {
    lost ??= error
  }
  for (const origin of injector.postponed)
    missed.set(origin, { why: 'gave it, but the mail server of this site did not take it', isRefused: false })
  for (const [origin, trouble] of missed) setbacks.add(origin, clock.now(), trouble)
  const unread = [...now.filter(({ origin }) => missed.has(origin)), ...later]
  let healed = 0
  if (lost === undefined && unread.length > 0) {
    try {
      const rescue = rescueByTop(client, injector)
      healed = (await climb({ mailbox, injector, setbacks, clock, missed: unread, rescue })).length
    } catch (error) {
      lost = error
    }
  }
  if (client.differing > 0)
    log.log('info', 'the backend announces other sizes than it sends; what it sent is stored', {
      messages: client.differing,
    })
  await rememberContents(request)
  if (lost !== undefined) throw lost
  return {
    fetched: injector.taken,
    fetchedOctets: injector.takenOctets,
    failed: unread.length - healed,
    leftAway: injector.leftAway,
  }
}

/**
 * A server without UIDL: numbers only. One that gave unique-ids before has lost them for now: by their headers, all its
 * messages would be new ones.
 */
const withoutUidl = (count: number, known: KnownOrigins): { listed: readonly Listed[]; complete: boolean } => {
  for (const origin of known.all())
    if (hasUniqueId(origin))
      throw new BackendError('temporary', 'the backend gave unique-ids before, and now says that it has no UIDL')
  return { listed: Array.from({ length: count }, (_, index) => ({ number: index + 1, uidl: '' })), complete: true }
}

/** What the maildrop lists now, and by which origins a pass would tell its messages. Changes nothing. Throws BackendError, StoreError. */
export const listIdentified = async ({
  url,
  client,
  account,
  mailbox,
}: Pick<SyncRequest, 'url' | 'client' | 'account' | 'mailbox'>): Promise<{
  readonly listed: readonly Listed[]
  readonly identified: readonly Identified[]
}> => {
  const memory = readMemory(await account.get(`backend ${url}`), mailbox.id)
  const contents = readContents(await account.get(contentsKey(url)), mailbox.id)
  const injected = await readInjected(account, mailbox.id, url)
  const known = await knownOrigins(mailbox, url, contents, injected, () => false)
  const { listed, complete } = (await client.uidl()) ?? withoutUidl(client.count, known)
  if (!complete) throw new BackendError('temporary', 'the backend lists fewer messages than it counts')
  const named = memory.byHeaders === true ? withoutUidls(listed) : listed
  return { listed, identified: await identify(url, named, known, client) }
}

/** What says nothing is left out. */
const withoutUidls = (listed: readonly Listed[]): readonly Listed[] =>
  listed.map(({ number }) => ({ number, uidl: '' }))

const contentsKey = (url: string): string => `contents ${url}`

const knownOrigins = async (
  mailbox: Mailbox,
  url: string,
  contents: ReadonlyMap<string, string>,
  injected: ReadonlyMap<string, Injected>,
  isPending: (left: Departed) => boolean,
) => {
  const slice = new Slice()
  const present = new Map<string, Uid>()
  const { messages } = mailbox
  for (let position = 0; position < messages.length; position++) {
    if (slice.isOver()) await slice.next()
    const origin = messages.originAt(position)
    if (origin?.startsWith(url)) present.set(origin, messages.uidAt(position))
  }
  const departed = new Map([...mailbox.departed()].filter(([origin]) => origin.startsWith(url)))
  const away = new Map(
    [...injected].flatMap(([origin, { submittedAt, refusedAt }]) => {
      const at = submittedAt ?? refusedAt
      return at === undefined || present.has(origin) || departed.has(origin) ? [] : [[origin, at] as const]
    }),
  )
  const known: KnownOrigins = {
    has: (origin) => present.has(origin) || away.has(origin),
    *all() {
      yield* present.keys()
      yield* departed.keys()
      yield* away.keys()
    },
    pending: (origin) => {
      const left = departed.get(origin)
      return left !== undefined && isPending(left)
    },
    contentDigest: (origin) => {
      const original = injected.get(origin)?.digest
      if (original !== undefined) return original
      const uid = present.get(origin)
      if (uid !== undefined) return mailbox.byUid(uid)?.digest
      return contents.get(String(departed.get(origin)?.uid))
    },
    headerDigest: async (origin) => {
      const uid = present.get(origin)
      const record = uid === undefined ? undefined : mailbox.byUid(uid)
      if (record === undefined) return undefined
      await using content = await mailbox.content(record)
      return headerDigest(await content.read(0, headerLimit))
    },
  }
  return { ...known, present, departed, away }
}

/** The store forgets what a message was when it is expunged: before its copy at the backend goes too, the two are compared. */
const rememberContents = async ({ url, account, mailbox }: SyncRequest): Promise<void> => {
  const before = readContents(await account.get(contentsKey(url)), mailbox.id)
  const now = new Map<string, string>()
  const slice = new Slice()
  const { messages } = mailbox
  for (let position = 0; position < messages.length; position++) {
    if (slice.isOver()) await slice.next()
    const origin = messages.originAt(position)
    if (origin?.startsWith(url) && !hasUniqueId(origin))
      now.set(String(messages.uidAt(position)), messages.at(position)!.digest)
  }
  for (const [origin, { uid }] of mailbox.departed()) {
    const digest = before.get(String(uid))
    if (digest !== undefined && origin.startsWith(url)) now.set(String(uid), digest)
  }
  const same = now.size === before.size && [...now].every(([uid, digest]) => before.get(uid) === digest)
  if (!same) await account.put({ [contentsKey(url)]: writtenContents(now, mailbox.id) })
}
