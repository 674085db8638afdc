/**
 * One maildrop and one mailbox, brought into step: list, identify, plan, apply. Safe to stop at any instant: an origin is
 * committed with its message, and whatever was not done is seen again in the next listing.
 */
import type { Clock } from '#src/base/clock.ts'
import type { Log } from '#src/base/log.ts'
import type { Account, Mailbox } from '#src/store/types.ts'
import { BackendError } from '../backend/errors.ts'
import type { Listed, PopClient } from '../backend/types.ts'
import { headerDigest, headerLimit } from './header.ts'
import { Injector } from './inject.ts'
import { hasUniqueId, type Identified, identify, type KnownOrigins } from './origin.ts'
import { type BackendMemory, type Plan, type Policy, plan } from './plan.ts'
import type { Setbacks } from './setbacks.ts'

export interface SyncRequest {
  /** Of the maildrop, `maildropUrl`: the beginning of its origins. */
  readonly url: string
  /** Open; left open. */
  readonly client: PopClient
  readonly account: Account
  /** Open. */
  readonly mailbox: Mailbox
  readonly policy: Policy
  /** Messages that failed before; shared by the sessions of one backend account. */
  readonly setbacks: Setbacks
  readonly clock: Clock
  readonly log: Log
}

export interface SyncResult {
  /** Messages at the backend. */
  readonly listed: number
  readonly fetched: number
  readonly fetchedOctets: number
  /** Refused or unreadable; asked for again later. */
  readonly failed: number
  readonly expungedHere: number
  readonly pushedOut: number
  /** Marked; gone when `quit` is confirmed. */
  readonly deletedThere: number
  /** Missing at the backend, kept here because the listing is not believed. */
  readonly held: number
}

/** Throws BackendError (session lost; what arrived is stored) and StoreError. The caller quits, or closes after a throw. */
export const syncMaildrop = async (request: SyncRequest): Promise<SyncResult> => {
  const { url, client, account, mailbox, policy, clock, log } = request
  await mailbox.refresh()
  const known = knownOrigins(mailbox, url)
  const listing = (await client.uidl()) ?? withoutUidl(client.count, known)
  const listed = await identify(url, listing.listed, known, client)
  const memoryKey = `backend ${url}`
  const memory = readMemory(await account.get(memoryKey))
  const steps = plan({
    listed,
    complete: listing.complete && listed.length === listing.listed.length,
    expires: client.capabilities.expireDays !== undefined,
    present: known.present,
    departed: known.departed,
    memory,
    policy,
    now: Math.floor(clock.now() / 1_000),
  })
  if (JSON.stringify(steps.memory) !== JSON.stringify(memory)) await account.put({ [memoryKey]: steps.memory })
  if (steps.held > 0)
    log.log('warning', 'messages are missing at the backend; they are kept until the backend proves reliable', {
      missing: steps.held,
      listed: listed.length,
    })
  return apply(request, steps, listed.length)
}

const apply = async (request: SyncRequest, steps: Plan, listed: number): Promise<SyncResult> => {
  const { client, mailbox, log } = request
  if (steps.forget.length + steps.readmit.length > 0) await mailbox.forget([...steps.forget, ...steps.readmit])
  const expunged = steps.expungeHere.length > 0 ? await mailbox.expunge(steps.expungeHere, 'backend') : []
  const { fetched, fetchedOctets, failed } = await fetchMessages(request, steps.fetch)
  const pushedOut = steps.pushOut.length > 0 ? await mailbox.expunge(steps.pushOut, 'window') : []
  const kept = await client.remove(steps.deleteThere.map(({ number }) => number))
  for (const [, error] of kept) log.log('warning', 'the backend does not delete a message', { reply: error.serverText })
  return {
    listed,
    fetched,
    fetchedOctets,
    failed,
    expungedHere: expunged.length,
    pushedOut: pushedOut.length,
    deletedThere: steps.deleteThere.length - kept.size,
    held: steps.held,
  }
}

const fetchMessages = async (
  { client, mailbox, setbacks, clock, log }: SyncRequest,
  wanted: readonly Identified[],
): Promise<{ fetched: number; fetchedOctets: number; failed: number }> => {
  const { now, later } = setbacks.order(wanted, clock.now())
  const byNumber = new Map(now.map((entry) => [entry.number, entry]))
  const injector = new Injector(mailbox, clock)
  let failed = later.length
  let answered = 0
  let broken = false
  let lost: unknown
  try {
    await client.retrieve(
      now.map(({ number }) => number),
      (number) => {
        const entry = byNumber.get(number)!
        answered++
        return injector.open(entry, () => {
          failed++
          broken = true
          setbacks.add(entry.origin, clock.now())
        })
      },
      (number, error) => {
        answered++
        failed++
        setbacks.add(byNumber.get(number)!.origin, clock.now())
        log.log('warning', 'the backend does not give a message; it will be asked for again', {
          number,
          reply: error.serverText,
        })
      },
    )
  } catch (error) {
    lost = error
    // The message that was asked for when the session ended may be the reason: it goes to the end of the queue.
    const next = now[answered]
    if (!broken && next !== undefined) setbacks.add(next.origin, clock.now())
  }
  await injector.finish()
  if (lost !== undefined) throw lost
  return { fetched: injector.stored, fetchedOctets: injector.storedOctets, failed }
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

const knownOrigins = (mailbox: Mailbox, url: string) => {
  const present = new Map(
    mailbox.messages.flatMap(({ origin, uid }) => (origin?.startsWith(url) ? [[origin, uid] as const] : [])),
  )
  const departed = new Map([...mailbox.departed()].filter(([origin]) => origin.startsWith(url)))
  const known: KnownOrigins = {
    has: (origin) => present.has(origin),
    *all() {
      yield* present.keys()
      yield* departed.keys()
    },
    headerDigest: async (origin) => {
      const record = mailbox.byUid(present.get(origin)!)
      if (record === undefined) return undefined
      await using content = await mailbox.content(record)
      return headerDigest(await content.read(0, headerLimit))
    },
  }
  return { ...known, present, departed }
}

const readMemory = (value: unknown): BackendMemory => {
  if (typeof value !== 'object' || value === null || !('keeps' in value)) return { keeps: false }
  const keeps = value.keeps === true
  const missing = 'missing' in value ? value.missing : undefined
  if (typeof missing !== 'object' || missing === null || !('since' in missing) || !('sessions' in missing))
    return { keeps }
  const { since, sessions } = missing
  return typeof since === 'number' && typeof sessions === 'number' ? { keeps, missing: { since, sessions } } : { keeps }
}
