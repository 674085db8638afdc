/**
 * Passwords that were right a short while ago, so that clients that log in every minute do not cost a scrypt each time. Only a keyed digest is
 * kept, in memory, over the password and the verifier that it fitted: a changed password has another verifier, and finds nothing.
 */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import type { Clock } from '../base/clock.ts'
import type { UserId } from '../base/ids.ts'

export interface Verified {
  /** Whether this password fitted this verifier lately. */
  has(userId: UserId, verifier: string, password: Uint8Array): boolean
  add(userId: UserId, verifier: string, password: Uint8Array): void
}

/** From the check itself, however often it is used. */
const lifetimeMs = 10 * 60_000
/** The one checked longest ago goes first. */
const maxUsers = 20_000

export const createVerified = (clock: Clock): Verified => {
  const key = randomBytes(32)
  const entries = new Map<UserId, { readonly digest: Buffer; readonly until: number }>()
  const digest = (verifier: string, password: Uint8Array) =>
    createHmac('sha256', key).update(verifier).update('\0').update(password).digest()
  return {
    has: (userId, verifier, password) => {
      const entry = entries.get(userId)
      if (entry === undefined) return false
      if (entry.until > clock.monotonic()) return timingSafeEqual(entry.digest, digest(verifier, password))
      entries.delete(userId)
      return false
    },
    add: (userId, verifier, password) => {
      entries.delete(userId)
      entries.set(userId, { digest: digest(verifier, password), until: clock.monotonic() + lifetimeMs })
      if (entries.size > maxUsers) entries.delete(entries.keys().next().value!)
    },
  }
}
