/**
 * Slows guessing down, per client address over all users, and per user over all addresses. Nobody is locked out by it: an address from which a user logged in
 * before counts for this user alone, by its own wrong passwords. A login that is under way is not counted; how many of those an address may have is the listener's limit.
 * docs/decisions/0199-guessing.md
 */
import { isIPv6 } from 'node:net'
import type { Clock } from '../base/clock.ts'

/** Something that happened to a login, here or in another process. `account`: of a user id, made by `accountKey`. */
export interface ThrottleNews {
  readonly what: 'failed' | 'succeeded'
  readonly prefix: string
  readonly account: string | undefined
}

export interface Throttle {
  /** Milliseconds until this address may try again for this account; 0: now. */
  wait(address: string, account: string | undefined): number
  /** Whether the account was logged in to from there lately. */
  isKnown(address: string, account: string): boolean
  /** Counts it. */
  note(news: ThrottleNews): void
}

/** Addresses, accounts and pairs of them that are remembered; the ones whose last login is longest ago go first. */
const maxKeys = 50_000
const minute = 60_000
const knownForMs = 30 * 24 * 60 * minute
/** A user has more addresses than one; a guesser has many. */
const accountFactor = 3

/** `perMinute` is asked at each use, 0 is no limit. */
export const createThrottle = (clock: Clock, perMinute: () => number): Throttle => {
  const prefixes = new Buckets(clock, perMinute)
  const accounts = new Buckets(clock, () => perMinute() * accountFactor)
  const pairs = new Buckets(clock, perMinute)
  /** Until when. */
  const known = new Map<string, number>()
  const isKnown = (pair: string) => (known.get(pair) ?? 0) > clock.monotonic()
  return {
    wait: (address, account) => {
      const prefix = prefixOf(address)
      const pair = pairOf(prefix, account)
      if (pair !== undefined && isKnown(pair)) return pairs.wait(pair)
      return Math.max(prefixes.wait(prefix), account === undefined ? 0 : accounts.wait(account))
    },
    isKnown: (address, account) => isKnown(pairOf(prefixOf(address), account)),
    note: ({ what, prefix, account }) => {
      const pair = pairOf(prefix, account)
      if (what === 'succeeded') {
        if (pair === undefined) return
        known.delete(pair)
        known.set(pair, clock.monotonic() + knownForMs)
        if (known.size > maxKeys) known.delete(known.keys().next().value!)
        return
      }
      prefixes.add(prefix)
      if (pair === undefined || account === undefined) return
      // A telephone with an old password does not keep its user out elsewhere.
      if (isKnown(pair)) pairs.add(pair)
      else accounts.add(account)
    },
  }
}

function pairOf(prefix: string, account: string): string
function pairOf(prefix: string, account: string | undefined): string | undefined
function pairOf(prefix: string, account: string | undefined): string | undefined {
  return account === undefined ? undefined : `${prefix} ${account}`
}

/** A bucket of `perMinute` failures for each key, filled again evenly over a minute. */
class Buckets {
  readonly #clock: Clock
  readonly #perMinute: () => number
  readonly #buckets = new Map<string, { readonly failures: number; readonly at: number }>()

  constructor(clock: Clock, perMinute: () => number) {
    this.#clock = clock
    this.#perMinute = perMinute
  }

  wait(key: string): number {
    const limit = this.#perMinute()
    if (limit === 0) return 0
    const excess = this.#current(key) - (limit - 1)
    return excess <= 0 ? 0 : Math.ceil((excess * minute) / limit)
  }

  add(key: string): void {
    const failures = this.#current(key) + 1
    this.#buckets.delete(key)
    this.#buckets.set(key, { failures, at: this.#clock.monotonic() })
    if (this.#buckets.size > maxKeys) this.#buckets.delete(this.#buckets.keys().next().value!)
  }

  #current(key: string): number {
    const bucket = this.#buckets.get(key)
    if (bucket === undefined) return 0
    return Math.max(0, bucket.failures - ((this.#clock.monotonic() - bucket.at) * this.#perMinute()) / minute)
  }
}

/** An IPv4 address; the /64 of an IPv6 address, since that is what one site has. */
export const prefixOf = (address: string): string => {
  const plain = address.toLowerCase().replace(/%.*$/, '')
  if (!isIPv6(plain)) return plain
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/.exec(plain)
  if (mapped !== null) return mapped[1]!
  const [head = '', tail = ''] = plain.split('::')
  const groups = head === '' ? [] : head.split(':')
  // Of the groups behind a `::` only those count that reach into the first four.
  const behind = tail === '' ? [] : tail.split(':')
  const behindGroups = behind.length + (tail.includes('.') ? 1 : 0)
  while (groups.length + behindGroups < 8) groups.push('0')
  groups.push(...behind)
  return groups
    .slice(0, 4)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(':')
}
