/**
 * What identifies a message of a POP3 maildrop from session to session: its unique-id; where the server has none, or gives
 * the same to several, the digest of its header. docs/decisions/0082-origins-of-pop3-messages.md
 */
import { createHash } from 'node:crypto'
import { Slice } from '../backend/slice.ts'
import type { Listed, PopClient } from '../backend/types.ts'
import { append, claimByContents, claimInOrder, contentsOf, namesOf, needContents } from './copies.ts'
import { headerDigest, headerLimit } from './header.ts'

export interface Identified {
  readonly number: number
  /** Unique in the mailbox, the same in every session. */
  readonly origin: string
  /** The server's unique-id, where pop3d can show it: unique, printable, without space. RFC 1939 §7 */
  readonly uidl: string | undefined
  /** It has the origin of a message that departed, but nothing proves that it is the same. */
  readonly unsure?: true
}

/** Origins of one backend that the mailbox knows, present or departed. */
export interface KnownOrigins {
  has(origin: string): boolean
  all(): Iterable<string>
  /** It departed, and its deletion is to reach the backend. */
  pending(origin: string): boolean
  /** SHA-256 of the whole message, base64url; undefined where it is not known. */
  contentDigest(origin: string): string | undefined
  /** Header digest of the message with this origin; undefined when it is not present. */
  headerDigest(origin: string): Promise<string | undefined>
}

/** Octets in latin1. Longer than 255 or not printable: its digest stands for it. */
const key = (uidl: string): string =>
  /^[\x21-\x7e]{1,255}$/.test(uidl) ? uidl : `#${createHash('sha256').update(uidl, 'latin1').digest('base64url')}`

const plainOrigin = (url: string, uidl: string): string => `${url}u:${key(uidl)}`

/** Whether an origin is made of the server's unique-id. The URL before it ends with the first '/' behind the host. */
export const hasUniqueId = (origin: string): boolean => origin.startsWith('/u:', origin.indexOf('/', 'pop://'.length))

/** Messages with the same header and unique-id. */
const groupOf = (digest: string, uidl: string): string => `${digest}:${uidl === '' ? '' : key(uidl)}`
/** `ordinal` tells the copies of a group apart, from 1. */
const digestOrigin = (url: string, group: string, ordinal: number): string =>
  `${url}d:${group.replace(':', `.${ordinal}:`)}`

/** Ordinals in use, by group; and the unique-ids that several messages have had, as `key` spells them. */
const knownCopies = async (prefix: string, known: KnownOrigins, slice: Slice) => {
  const groups = new Map<string, number[]>()
  const keys = new Set<string>()
  for (const origin of known.all()) {
    if (slice.isOver()) await slice.next()
    if (!origin.startsWith(prefix)) continue
    const dot = origin.indexOf('.', prefix.length)
    const colon = origin.indexOf(':', dot)
    const group = origin.slice(prefix.length, dot) + origin.slice(colon)
    keys.add(origin.slice(colon + 1))
    append(groups, group, Number(origin.slice(dot + 1, colon)))
  }
  return { groups, keys }
}

/** Answers with one entry per listed message, in the listing's order. Asks the backend for headers and messages only where it has to. */
export const identify = async (
  url: string,
  listed: readonly Listed[],
  known: KnownOrigins,
  client: PopClient,
): Promise<readonly Identified[]> => {
  const slice = new Slice()
  const seen = new Set<string>()
  const repeated = new Set<string>()
  for (const { uidl } of listed) {
    if (slice.isOver()) await slice.next()
    if (seen.has(uidl)) repeated.add(uidl)
    else seen.add(uidl)
  }
  const copies = await knownCopies(`${url}d:`, known, slice)
  const result: (Identified | undefined)[] = []
  const ambiguous: { readonly entry: Listed; readonly index: number }[] = []
  for (const [index, entry] of listed.entries()) {
    if (slice.isOver()) await slice.next()
    const { number, uidl } = entry
    const spelled = key(uidl)
    // Once several messages had the same unique-id, it stays ambiguous for those that are left.
    if (uidl === '' || repeated.has(uidl) || copies.keys.has(spelled)) ambiguous.push({ entry, index })
    else result[index] = { number, origin: `${url}u:${spelled}`, uidl: spelled === uidl ? uidl : undefined }
  }
  const digests = await digestsOf(
    client,
    ambiguous.map(({ entry }) => entry.number),
  )
  const plainTaken = new Set<string>()
  const groups = new Map<string, { readonly number: number; readonly index: number }[]>()
  for (const { entry, index } of ambiguous) {
    const { number, uidl } = entry
    const digest = digests.get(number)
    // Without a header it can't be told from others: left for a later session.
    if (digest === undefined) continue
    const plain = plainOrigin(url, uidl)
    if (uidl !== '' && !plainTaken.has(plain) && known.has(plain) && (await known.headerDigest(plain)) === digest) {
      plainTaken.add(plain)
      result[index] = { number, origin: plain, uidl: undefined }
      continue
    }
    const group = groupOf(digest, uidl)
    append(groups, group, { number, index })
  }
  const claims = [...groups].map(([group, entries]) => {
    const names = namesOf(copies.groups.get(group) ?? [], (ordinal) => digestOrigin(url, group, ordinal), known)
    return { entries, names, byContents: needContents(entries.length, names, known) }
  })
  const compared = claims.filter((claim) => claim.byContents).flatMap(({ entries }) => entries)
  const contents = await contentsOf(
    client,
    compared.map(({ number }) => number),
  )
  for (const { entries, names, byContents } of claims) {
    if (slice.isOver()) await slice.next()
    const claimed = byContents
      ? claimByContents(
          entries.map(({ number }) => contents.get(number)),
          names,
          known,
        )
      : claimInOrder(entries.length, names)
    for (const [at, { number, index }] of entries.entries()) {
      const claim = claimed[at]
      if (claim !== undefined) result[index] = { number, uidl: undefined, ...claim }
    }
  }
  return result.filter((entry) => entry !== undefined)
}

/** Header digests by message number: by TOP, and by RETR where the server refuses that. */
const digestsOf = async (client: PopClient, numbers: readonly number[]): Promise<ReadonlyMap<number, string>> => {
  const digests = new Map<number, string>()
  const refused: number[] = []
  if (numbers.length === 0) return digests
  await client.top(
    numbers,
    0,
    (number, octets) => digests.set(number, headerDigest(octets)),
    (number) => refused.push(number),
  )
  await client.retrieve(
    refused,
    (number) => {
      const start: Buffer[] = []
      let octets = 0
      return {
        write: (chunk) => {
          if (octets < headerLimit) start.push(chunk)
          octets += chunk.length
        },
        end: () => void digests.set(number, headerDigest(Buffer.concat(start))),
        abort: () => {},
      }
    },
    () => {},
  )
  return digests
}
