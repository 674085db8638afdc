/**
 * Names of message files: `<INTERNALDATE>,S=<octets>,O=<origin>,<unique>,<SHA-256>`. The name is made once and never changes. It carries
 * what a rebuilt log needs, so that a lost log costs flags and UIDs, never a message or its origin.
 */

import { createHash } from 'node:crypto'
import { StoreError } from '../base/errors.ts'

/** What a message file's name tells. */
export interface MessageFile {
  /** Seconds since 1970. */
  readonly internalDate: number
  readonly sizeOctets: number
  /** Undefined where there is none, or where it was too long for a name (`originHash` then tells). */
  readonly origin: string | undefined
  /** base64url SHA-256 of an origin that was too long for the name. */
  readonly originHash: string | undefined
  /** What sets the file apart from all others of the mailbox. */
  readonly unique: string
  /** base64url SHA-256 of the octets. */
  readonly digest: string
}

/**
 * In the place of the unique part, of a message whose octets have not come; its digest is nothing but zeros. No file has this name.
 * docs/decisions/0024-announced-messages.md
 */
export const announcedUnique = 'announced'
/** To whoever wants to read one. */
export const stillAway = 'The message is still at the old server, which does not give it now'

/** 255 octets less date, size, unique part, digest and marks. */
const maxOriginOctets = 150
const maxOriginLength = 2000
const pattern =
  /^(-?[0-9]{1,15}),S=([0-9]{1,15}),O=([A-Za-z0-9._@+=~!%-]*|\^[A-Za-z0-9_-]{43}),([a-z0-9]{1,32}),([A-Za-z0-9_-]{43})$/

export function originHash(origin: string): string {
  return createHash('sha256').update(origin).digest('base64url')
}

function escapeOrigin(origin: string): string {
  return encodeURIComponent(origin)
    .replace(/[*'()]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`)
    .replaceAll('%40', '@')
}

/** Throws StoreError invalid for an origin that can't be kept. */
export function checkOrigin(origin: string): void {
  if (origin === '' || origin.length > maxOriginLength || !origin.isWellFormed() || origin.includes('\0'))
    throw new StoreError('invalid', `An origin is empty, longer than ${maxOriginLength} characters, or not text`)
}

/** Throws StoreError invalid. */
export function checkNumbers(internalDate: number, sizeOctets = 0): void {
  if (!Number.isSafeInteger(internalDate) || Math.abs(internalDate) > 1e14)
    throw new StoreError('invalid', 'INTERNALDATE is no whole number of seconds')
  if (!Number.isSafeInteger(sizeOctets) || sizeOctets < 0 || sizeOctets > 1e14)
    throw new StoreError('invalid', 'A size is no whole number of octets')
}

/**
 * `unique`: lower-case letters and digits that no other message of the mailbox has. `originHash` is for a message whose origin is not
 * known any more.
 */
export function messageFileName(message: Omit<MessageFile, 'originHash'> & { readonly originHash?: string }): string {
  const { internalDate, sizeOctets, origin, unique, digest } = message
  let token = message.originHash === undefined ? '' : `^${message.originHash}`
  if (origin !== undefined) {
    token = escapeOrigin(origin)
    if (token.length > maxOriginOctets) token = `^${originHash(origin)}`
  }
  return `${internalDate},S=${sizeOctets},O=${token},${unique},${digest}`
}

/** Undefined for a name that `messageFileName` never makes. */
export function parseMessageFileName(file: string): MessageFile | undefined {
  const match = pattern.exec(file)
  if (match === null) return undefined
  const [, date, size, token, unique, digest] = match as unknown as [string, string, string, string, string, string]
  const hashed = token.startsWith('^')
  let origin: string | undefined
  if (token !== '' && !hashed) {
    try {
      origin = decodeURIComponent(token)
    } catch {
      return undefined
    }
  }
  return {
    internalDate: Number(date),
    sizeOctets: Number(size),
    origin,
    originHash: hashed ? token.slice(1) : undefined,
    unique,
    digest,
  }
}
