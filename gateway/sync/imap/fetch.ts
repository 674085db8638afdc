/** New messages of one mailbox there, straight into the mailbox here. GW-03, GW-19 */
import type { Clock } from '#src/base/clock.ts'
import type { Uid } from '#src/base/ids.ts'
import type { Log } from '#src/base/log.ts'
import type { Flag, Mailbox } from '#src/store/types.ts'
import { BackendError } from '../../backend/errors.ts'
import { fetchBodies, type MessageFacts } from '../../backend/imap/bulk.ts'
import type { ImapConnection } from '../../backend/imap/connection.ts'
import { otherWays } from '../../backend/imap/other-ways.ts'
import type { Injector } from '../inject/injector.ts'
import { climb, type Rescued } from '../ladder.ts'
import type { Setbacks, Trouble } from '../setbacks.ts'
import { originOf, originPrefix } from './origin.ts'

export interface FetchRequest {
  /** With the mailbox selected. */
  readonly connection: ImapConnection
  readonly url: string
  readonly uidValidity: number
  /** Ascending. */
  readonly uids: readonly Uid[]
  /** Others, ascending, which have their places here already: the newest come first. */
  readonly announced?: readonly Uid[]
  readonly setSize: number
  readonly injector: Injector
  /** That they go into. */
  readonly mailbox: Mailbox
  /** With the UIDs that they have there, where these are free. */
  readonly keepsUids: boolean
  readonly setbacks: Setbacks
  /** The flags that can be kept here. */
  readonly storable: (flags: readonly Flag[]) => readonly Flag[]
  readonly clock: Clock
  readonly log: Log
  /** As of `PassRequest`. */
  readonly rest?: (() => Promise<void>) | undefined
}

/** Answers the UIDs that did not come, and are to be asked for again. Throws BackendError and StoreError; what arrived is stored then. */
export async function fetchMessages(request: FetchRequest): Promise<{ readonly missed: readonly Uid[] }> {
  const { connection, url, uidValidity, setSize, injector, setbacks, clock, log } = request
  // Made where they are needed: of a million messages they would be a hundred megabytes.
  const origin = (uid: Uid) => originOf(url, uidValidity, uid)
  const prefix = originPrefix(url, uidValidity)
  const { now, later } = setbacks.order(inOrder(request), origin, clock.now(), prefix, request.keepsUids)
  const missed = [...later]
  const troubles = new Map<string, Trouble>()
  let lost: unknown
  try {
    await fetchBodies(connection, {
      uids: now,
      setSize,
      rest: request.rest,
      open: ({ uid, flags, internalDate }) => {
        const origin = originOf(url, uidValidity, uid)
        const message = { origin, internalDate, flags: request.storable(flags), isCompared: true }
        return injector.open({ ...message, ...givenUid(request, uid) }, () => {
          missed.push(uid)
          troubles.set(origin, { why: 'ended the session in the middle of it', isRefused: false })
        })
      },
      refused: (uid, error) => {
        missed.push(uid)
        troubles.set(originOf(url, uidValidity, uid), {
          why: `refuses it: ${error.serverText ?? error.message}`,
          isRefused: true,
        })
        // Most are gone since they were listed.
        if (error.kind === 'gone') return
        log.log('warning', 'the backend does not give a message; it will be asked for again', {
          uid,
          reply: error.serverText,
        })
      },
    })
  } catch (error) {
    const ours = error instanceof BackendError && error.kind === 'stopped'
    lost = ours ? (error.cause ?? error) : error
    if (ours) troubles.clear()
  }
  try {
    await injector.finish()
  } catch (error) {
    lost ??= error
  }
  const postponed = new Set(injector.postponed)
  if (postponed.size > 0) for (const uid of now) if (postponed.has(origin(uid))) missed.push(uid)
  for (const origin of postponed)
    troubles.set(origin, { why: 'gave it, but the mail server of this site did not take it', isRefused: false })
  for (const [origin, trouble] of troubles) setbacks.add(origin, clock.now(), trouble)
  if (lost !== undefined) throw lost
  if (missed.length === 0) return { missed }
  const healed = await climb({
    ...request,
    missed: missed.map((uid) => ({ uid, origin: originOf(url, uidValidity, uid) })),
    rescue: ({ uid, origin }) => rescue(request, uid, origin),
  })
  const whole = new Set(healed.map(({ uid }) => uid))
  return { missed: missed.filter((uid) => !whole.has(uid)) }
}

/** One that is asked for too late for its UID would take another one's place: it comes last. */
function inOrder({ uids, announced = [], keepsUids, mailbox: { uidNext } }: FetchRequest): readonly Uid[] {
  const newestFirst = announced.toReversed()
  if (!keepsUids) return [...uids, ...newestFirst]
  return [...uids.filter((uid) => uid >= uidNext), ...newestFirst, ...uids.filter((uid) => uid < uidNext)]
}

/** As far as is known now. */
function givenUid({ keepsUids, mailbox }: FetchRequest, uid: Uid): { readonly uid?: Uid } {
  return keepsUids && uid >= mailbox.uidNext ? { uid } : {}
}

function rescue(request: FetchRequest, uid: Uid, origin: string): Promise<Rescued> {
  const open = ({ internalDate, flags }: MessageFacts) =>
    request.injector.open({ origin, internalDate, flags: request.storable(flags), ...givenUid(request, uid) }, () => {})
  return otherWays(request.connection, uid, open)
}
