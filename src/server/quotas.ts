/**
 * Keeps users within their quotas: asked before mail is added by a client or by delivery, never for what the gateway fetches.
 * docs/decisions/0055-quotas-are-counted-before-they-refuse.md
 *
 * What a maintainer could break:
 * - Nothing is refused by an old count: what was removed a moment ago, by another process too, is room again.
 * - A count admits at most a tenth of the room that it found, for ten seconds; more than that waits for a count of its own and is committed before the
 *   next count begins. So in one process nothing gets in beyond the limit, and what several processes let in at the same time is bounded.
 */
import type { Accounts } from '../auth/accounts.ts'
import type { Clock } from '../base/clock.ts'
import { StoreError } from '../base/errors.ts'
import type { UserId } from '../base/ids.ts'
import type { Config } from '../config/config.ts'
import type { Account, Usage } from '../store/types.ts'
import { limitsOf, type OwnLimits, octetsPerKb, type QuotaLimits, setLimits } from './quota-limits.ts'

/** What is to be added. */
export type Addition = Usage

export interface Quotas {
  /** As the account and the configuration say now. Throws StoreError. */
  limits(userId: UserId): Promise<QuotaLimits>
  /** As `setLimits`. In force at once here, in other processes after ten seconds at most. */
  set(userId: UserId, limits: OwnLimits): Promise<void>
  /** Throws StoreError over-quota when so much has no room now. For an early answer: `adding` decides. */
  check(account: QuotaAccount, addition: Addition): Promise<void>
  /** Does the work, which adds so much to the account, where there is room for it. Throws StoreError over-quota, and what the work throws. */
  adding<T>(account: QuotaAccount, addition: Addition, work: () => Promise<T>): Promise<T>
}
export type QuotaAccount = Pick<Account, 'userId' | 'usage'>

/** Milliseconds for which a count, and the limits that were looked up for it, admit something. */
const countHoldsMs = 10_000
/** Of the room that a count found, the part that is given away by it. */
const shareOfRoom = 10
/** Users whose last count is remembered. */
const maxRooms = 10_000

/** What an account has room for. */
interface Room {
  /** What may still be added without another count; undefined: nothing. */
  allowance: { readonly untilMs: number; octets: number; messages: number } | undefined
  /** Work that was admitted and has not ended. */
  readonly underWay: Set<Promise<unknown>>
  /** The end of the last count, and of the work that waited for it. */
  turn: Promise<unknown>
}

export interface QuotaParts {
  /** The one in force now. */
  readonly config: () => Config
  readonly accounts: Pick<Accounts, 'find' | 'put'>
  readonly clock: Clock
}

export const createQuotas = ({ config, accounts, clock }: QuotaParts): Quotas => {
  const rooms = new Map<UserId, Room>()
  const limits = async (userId: UserId) => limitsOf(config(), userId, await accounts.find(userId))

  const roomOf = (userId: UserId): Room => {
    const known = rooms.get(userId)
    const room = known ?? { allowance: undefined, underWay: new Set(), turn: Promise.resolve() }
    rooms.delete(userId)
    rooms.set(userId, room)
    for (const [oldest, { underWay }] of rooms) {
      if (rooms.size <= maxRooms || underWay.size > 0) break
      rooms.delete(oldest)
    }
    return room
  }

  const isAllowed = ({ allowance }: Room, { octets, messages }: Addition): boolean =>
    allowance !== undefined &&
    clock.monotonic() < allowance.untilMs &&
    octets <= allowance.octets &&
    messages <= allowance.messages

  const begin = <T>(room: Room, work: () => Promise<T>): Promise<T> => {
    const done = work()
    const ended: Promise<unknown> = done.then(
      () => room.underWay.delete(ended),
      () => room.underWay.delete(ended),
    )
    room.underWay.add(ended)
    return done
  }

  /** One after another, each when all that was admitted is in the mailboxes or failed. */
  const inTurn = async <T>(room: Room, work: () => Promise<T>): Promise<T> => {
    const before = room.turn
    const own = Promise.withResolvers<void>()
    room.turn = own.promise
    await before
    try {
      return await work()
    } finally {
      own.resolve()
    }
  }

  /** Counts, and says what that allows. Throws StoreError over-quota when the addition has no room. */
  const count = async (room: Room, account: QuotaAccount, addition: Addition): Promise<void> => {
    room.allowance = undefined
    await Promise.all([...room.underWay])
    const beganMs = clock.monotonic()
    const { storage, messages } = await limits(account.userId)
    const untilMs = beganMs + countHoldsMs
    if (storage.value === 0 && messages.value === 0) {
      room.allowance = { untilMs, octets: Number.POSITIVE_INFINITY, messages: Number.POSITIVE_INFINITY }
      return
    }
    const usage = await account.usage()
    const octetsLeft = left(storage.value * octetsPerKb, usage.octets)
    const messagesLeft = left(messages.value, usage.messages)
    if (addition.octets > octetsLeft || addition.messages > messagesLeft)
      throw new StoreError('over-quota', `the mail of ${account.userId} has reached its limit`)
    room.allowance = { untilMs, octets: octetsLeft / shareOfRoom, messages: messagesLeft / shareOfRoom }
  }

  return {
    limits,
    set: async (userId, own) => {
      await setLimits(accounts, userId, own)
      const room = rooms.get(userId)
      if (room !== undefined) room.allowance = undefined
    },
    check: async (account, addition) => {
      const room = roomOf(account.userId)
      if (!isAllowed(room, addition)) await inTurn(room, () => count(room, account, addition))
    },
    adding: async (account, addition, work) => {
      const room = roomOf(account.userId)
      const admitted = () => {
        const allowance = room.allowance!
        allowance.octets -= addition.octets
        allowance.messages -= addition.messages
        return begin(room, work)
      }
      if (isAllowed(room, addition)) return admitted()
      const { done } = await inTurn(room, async () => {
        // Whoever was before may have counted.
        if (!isAllowed(room, addition)) await count(room, account, addition)
        if (isAllowed(room, addition)) return { done: admitted() }
        // It fits, and is more than the count gives away: the next one counts again, when this is in the mailbox.
        room.allowance = undefined
        return { done: begin(room, work) }
      })
      return done
    },
  }
}

/** 0 is no limit. */
const left = (limit: number, used: number): number =>
  limit === 0 ? Number.POSITIVE_INFINITY : Math.max(0, limit - used)
