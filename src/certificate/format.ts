/**
 * What a migration certificate says. The format for outsiders is in docs/certificate.md; names here are the names there.
 */
import type { Json } from '../events/types.ts'

export const formatName = 'wherry-certificate-1'

/** Why a message of the old server is not here. */
export const exceptionTexts = {
  stub: 'the old server lists it and does not give it; a notice with its header is in its place',
  'not-given': 'the old server lists it and did not give it so far',
  oversized: 'it is larger than what is fetched',
  'deleted-here': 'it was here, and was deleted here before the certificate was made',
  'gone-here': 'it was here, and left because it seemed to be gone at the old server',
  refused: 'a mail server of this site refused it; a notice is in its place',
  'left-to-submission': 'it was given to a mail server of this site, which delivers it',
  'not-pulled': 'no pass has asked for it: it came to the old server after the last one',
  'mailbox-not-pulled': 'its mailbox is not among those that are pulled',
} as const

export type Exception = keyof typeof exceptionTexts

/** In what a message that is here is another than there. */
export type Difference =
  /** A client that knows it fetches it again. */
  | 'uid'
  | 'uidl'
  | 'flags'
  /** INTERNALDATE */
  | 'date'
  /** The old server announces another size than the message has; what it sent is here. */
  | 'size'
  /** What is here was made of what the old server sent, by the content check of this site. */
  | 'converted'

/** One message that the old server lists. Without `exception` it is here: then `mailbox`, `uid`, `octets` and `digest` are there. */
export type Entry = {
  /** The source id: how the gateway names it for good, by server, user, and UIDVALIDITY/UID or unique-id. */
  readonly id: string
  /** Mailbox there. */
  readonly from: string
  readonly uidThere?: number
  /** As the old POP3 server gives it, octets in latin1. */
  readonly uidlThere?: string
  /** Octets, as announced. */
  readonly sizeThere?: number
  /** INTERNALDATE, seconds since 1970. */
  readonly dateThere?: number
  readonly flagsThere?: readonly string[]
  readonly mailbox?: string
  readonly uid?: number
  readonly octets?: number
  /** SHA-256 of the octets that are stored, hex. */
  readonly digest?: string
  readonly exception?: Exception
  readonly detail?: string
  readonly differs?: readonly Difference[]
}

/** What a client that knows the old mailbox does when it meets the one here. */
export type ClientEffect =
  | 'nothing'
  /** Some messages have another UID or unique-id. */
  | 'some again'
  /** UIDVALIDITY is another one, or the mailbox is not here. RFC 9051 §2.3.1.1 */
  | 'all again'

export type Counts = {
  /** By the old server. */
  readonly listed: number
  /** Of those. */
  readonly here: number
  /** Of those that are not here, by reason. */
  readonly exceptions: Readonly<Record<string, number>>
  /** Of the messages that are here. */
  readonly octets: number
  /** Messages that a client which knows the old server fetches again. */
  readonly again: number
}

export type MailboxSummary = Counts & {
  /** Beginning of the source ids, the old server and the user there. */
  readonly backend: string
  readonly from: string
  /** Its like here; missing: there is none. */
  readonly mailbox?: string
  readonly uidValidityThere?: number
  readonly uidValidity?: number
  readonly uidNextThere?: number
  readonly uidNext?: number
  readonly client: ClientEffect
  /** Messages are in the order of the old server. */
  readonly inOrder: boolean
  /** A login here as the user, by the protocol of the old server, was told exactly what the entries say; false: nobody could try, or it was not. */
  readonly replayed: boolean
  /** Tree hash over its entries. */
  readonly root: string
}

/** What is signed. */
export type Statement = Counts & {
  readonly format: typeof formatName
  readonly account: string
  /** ISO 8601, UTC. It is true as of then. */
  readonly made: string
  readonly occasion: 'migrated' | 'asked'
  readonly backends: readonly string[]
  readonly mailboxes: number
  /** Mailboxes that are `replayed`. */
  readonly replayed: number
  /** Mailboxes that an old server lists and did not open: what is in them nobody knows. Missing: none. */
  readonly leftOut?: readonly string[]
  /** What the old server has beside mail (rights, scripts) and is not, or not as it was, here: in words, as the record of the migration tells it. Missing: none. */
  readonly notGivenBeside?: readonly string[]
  /** Messages here that no old server lists. */
  readonly others: number
  /** recorded: digests are those that the store made as the octets came; read: of the octets as they lie on the disk. */
  readonly digests: 'recorded' | 'read'
  /** Tree hash over the mailboxes. */
  readonly root: string
  /** SHA-256 of the public key (SubjectPublicKeyInfo, DER), hex. */
  readonly key: string
}

/** For `canonical`: properties that are undefined are left out. */
export const asJson = (value: Entry | MailboxSummary | Statement): Json =>
  Object.fromEntries(Object.entries(value).filter(([, member]) => member !== undefined)) as Json

/** Of several, in one. */
export const sumOf = (all: readonly Counts[]): Counts => {
  const exceptions: Record<string, number> = {}
  for (const counts of all)
    for (const [reason, count] of Object.entries(counts.exceptions))
      exceptions[reason] = (exceptions[reason] ?? 0) + count
  const sum = (of: (counts: Counts) => number) => all.reduce((total, counts) => total + of(counts), 0)
  return {
    listed: sum(({ listed }) => listed),
    here: sum(({ here }) => here),
    octets: sum(({ octets }) => octets),
    again: sum(({ again }) => again),
    exceptions,
  }
}

/** Undefined: they do. */
export const whyCountsDiffer = ({ listed, here, exceptions }: Counts): string | undefined => {
  const left = Object.values(exceptions).reduce((total, count) => total + count, 0)
  return listed === here + left ? undefined : `${listed} are listed, ${here} are here, ${left} are exceptions`
}
