/**
 * Counts wrong passwords per client address, over all users: an attacker is slowed down, and nobody can lock another
 * address's user out. A login that is under way is not counted; how many of those an address may have is the listener's limit.
 */
import { isIPv6 } from 'node:net'
import type { Clock } from '../base/clock.ts'

export interface Throttle {
  /** Milliseconds until this address may try again; 0: now. */
  wait(address: string): number
  failed(address: string): void
}

/** Addresses that are remembered; the ones whose last failure is longest ago go first. */
const maxAddresses = 50_000
const minute = 60_000

/** `perMinute` is asked at each use, 0 is no limit. A bucket of that size, filled again evenly over a minute. */
export const createThrottle = (clock: Clock, perMinute: () => number): Throttle => {
  const buckets = new Map<string, { failures: number; at: number }>()
  const current = (prefix: string) => {
    const bucket = buckets.get(prefix)
    if (bucket === undefined) return 0
    return Math.max(0, bucket.failures - ((clock.monotonic() - bucket.at) * perMinute()) / minute)
  }
  return {
    wait: (address) => {
      const limit = perMinute()
      if (limit === 0) return 0
      const excess = current(prefixOf(address)) - (limit - 1)
      return excess <= 0 ? 0 : Math.ceil((excess * minute) / limit)
    },
    failed: (address) => {
      const prefix = prefixOf(address)
      const failures = current(prefix) + 1
      buckets.delete(prefix)
      buckets.set(prefix, { failures, at: clock.monotonic() })
      if (buckets.size > maxAddresses) buckets.delete(buckets.keys().next().value!)
    },
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
