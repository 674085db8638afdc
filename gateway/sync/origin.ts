/**
 * What identifies a message of a POP3 maildrop from session to session: its unique-id; where the server has none, or gives
 * the same to several, the digest of its header. docs/decisions/0082-origins-of-pop3-messages.md
 */
import { createHash } from 'node:crypto'
import type { Listed, PopClient } from '../backend/types.ts'
import { headerDigest, headerLimit } from './header.ts'

export interface Identified {
  readonly number: number
  /** Unique in the mailbox, the same in every session. */
  readonly origin: string
  /** The server's unique-id, where pop3d can show it: unique, printable, without space. RFC 1939 §7 */
  readonly uidl: string | undefined
}

/** Origins of one backend that the mailbox knows, present or departed. */
export interface KnownOrigins {
  has(origin: string): boolean
  all(): Iterable<string>
  /** Header digest of the message with this origin; undefined when it is not present. */
  headerDigest(origin: string): Promise<string | undefined>
}

/** Octets in latin1. Longer than 255 or not printable: its digest stands for it. */
const key = (uidl: string): string =>
  /^[\x21-\x7e]{1,255}$/.test(uidl) ? uidl : `#${createHash('sha256').update(uidl, 'latin1').digest('base64url')}`

const plainOrigin = (url: string, uidl: string): string => `${url}u:${key(uidl)}`
/** Whether an origin is made of the server's unique-id. The URL before it ends with the first '/' behind the host. */
export const hasUniqueId = (origin: string): boolean => origin.startsWith('/u:', origin.indexOf('/', 'pop://'.length))
/** `ordinal` tells real copies apart, from 1. */
const digestOrigin = (url: string, digest: string, ordinal: number, uidl: string): string =>
  `${url}d:${digest}.${ordinal}:${uidl === '' ? '' : key(uidl)}`

/** Answers with one entry per listed message, in the listing's order. Asks the backend for headers only where it has to. */
export const identify = async (
  url: string,
  listed: readonly Listed[],
  known: KnownOrigins,
  client: PopClient,
): Promise<readonly Identified[]> => {
  const uses = new Map<string, number>()
  for (const { uidl } of listed) uses.set(uidl, (uses.get(uidl) ?? 0) + 1)
  // Once several messages had the same unique-id, it stays ambiguous for those that are left.
  const ambiguousKeys = new Set<string>()
  const prefix = `${url}d:`
  for (const origin of known.all())
    if (origin.startsWith(prefix)) ambiguousKeys.add(origin.slice(origin.indexOf(':', prefix.length) + 1))
  const ambiguous = ({ uidl }: Listed) => uidl === '' || uses.get(uidl)! > 1 || ambiguousKeys.has(key(uidl))

  const digests = await digestsOf(
    client,
    listed.filter(ambiguous).map(({ number }) => number),
  )
  const ordinals = new Map<string, number>()
  const plainTaken = new Set<string>()
  const result: Identified[] = []
  for (const entry of listed) {
    const { number, uidl } = entry
    const plain = plainOrigin(url, uidl)
    if (!ambiguous(entry)) {
      result.push({ number, origin: plain, uidl: plain.endsWith(`:${uidl}`) ? uidl : undefined })
      continue
    }
    const digest = digests.get(number)
    // Without a header it can't be told from others: left for a later session.
    if (digest === undefined) continue
    if (uidl !== '' && !plainTaken.has(plain) && known.has(plain) && (await known.headerDigest(plain)) === digest) {
      plainTaken.add(plain)
      result.push({ number, origin: plain, uidl: undefined })
      continue
    }
    const same = `${digest} ${uidl}`
    const ordinal = (ordinals.get(same) ?? 0) + 1
    ordinals.set(same, ordinal)
    result.push({ number, origin: digestOrigin(url, digest, ordinal, uidl), uidl: undefined })
  }
  return result
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
