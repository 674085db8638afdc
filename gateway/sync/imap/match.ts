/**
 * Messages here and messages there that may be the same, although nothing says so: after a change of UIDVALIDITY, after a pass that was cut
 * short while it sent messages, at a server without UIDPLUS. They are told by size and date, then by their headers, and the rest by their
 * octets; what is left over stays what it was.
 */
import { createHash, hash } from 'node:crypto'
import type { Uid } from '#src/base/ids.ts'
import type { Mailbox, MessageRecord } from '#src/store/types.ts'
import { formatUids } from '#src/store/uid-set.ts'
import { fetchBodies } from '../../backend/imap/bulk.ts'
import type { ImapConnection } from '../../backend/imap/connection.ts'
import type { ImapFlow } from '../../backend/imap/control.ts'
import { Slice } from '../../backend/slice.ts'
import type { BodySink } from '../../backend/types.ts'
import { headerLimit, headerOf } from '../header.ts'
import { sets } from './remote.ts'

export interface MatchRequest {
  readonly mailbox: Mailbox
  readonly here: readonly MessageRecord[]
  /** UIDs there that belong to no message here. */
  readonly there: readonly Uid[]
  readonly control: ImapFlow
  /** With the same mailbox selected. */
  readonly bulk: () => Promise<ImapConnection>
  readonly setSize: number
  /** Also where the backend tells another size than a message here has: it may be wrong about that. */
  readonly anySize: boolean
  /** SHA-256 of what the backend had, base64url, where that is not what is stored here. */
  readonly originalDigest: (record: MessageRecord) => string | undefined
  /** Called with pairs as they are found; they are durable when it resolves. */
  readonly found: (pairs: readonly (readonly [here: MessageRecord, there: Uid])[]) => Promise<void>
}

export async function matchMessages(request: MatchRequest): Promise<void> {
  const { control, found } = request
  if (request.here.length === 0 || request.there.length === 0) return
  const left = new Left(request.here, request.originalDigest)
  const facts = await factsOf(control, request.there)
  const slice = new Slice()
  const unmatched: Uid[] = []
  for (const set of sets(request.there)) {
    const asked = set.filter((uid) => left.like(facts.get(uid)).length > 0)
    const pairs: [MessageRecord, Uid][] = []
    for (const [uid, header] of await headersOf(control, asked)) {
      if (slice.isOver()) await slice.next()
      const same: MessageRecord[] = []
      for (const record of left.like(facts.get(uid)))
        if ((await headerHere(request.mailbox, record)) === header) same.push(record)
      // Several that are alike may still differ behind their headers.
      if (same.length !== 1) continue
      left.take(same[0]!)
      pairs.push([same[0]!, uid])
    }
    const matched = new Set(pairs.map(([, uid]) => uid))
    for (const uid of set) if (!matched.has(uid)) unmatched.push(uid)
    if (pairs.length > 0) await found(pairs)
  }
  const asked = unmatched.filter(
    (uid) => left.count > 0 && (request.anySize || left.hasSize(facts.get(uid)?.sizeOctets)),
  )
  if (asked.length === 0) return
  const pairs: [MessageRecord, Uid][] = []
  await digests(await request.bulk(), asked, request.setSize, (uid, digest) => {
    const record = left.byDigest(digest)
    if (record === undefined) return
    left.take(record)
    pairs.push([record, uid])
  })
  if (pairs.length > 0) await found(pairs)
}

interface Facts {
  readonly sizeOctets: number
  /** Seconds since 1970. */
  readonly internalDate: number
}

/** The messages here that nothing was found for yet. */
class Left {
  readonly #records: Set<MessageRecord>
  readonly #bySize = new Map<number, MessageRecord[]>()
  readonly #originalDigest: MatchRequest['originalDigest']
  #digests: Map<string, MessageRecord[]> | undefined

  constructor(records: readonly MessageRecord[], originalDigest: MatchRequest['originalDigest']) {
    this.#originalDigest = originalDigest
    this.#records = new Set(records)
    for (const record of records) {
      const same = this.#bySize.get(record.sizeOctets)
      if (same === undefined) this.#bySize.set(record.sizeOctets, [record])
      else same.push(record)
    }
  }

  get count(): number {
    return this.#records.size
  }

  hasSize(sizeOctets: number | undefined): boolean {
    return (this.#bySize.get(sizeOctets ?? -1) ?? []).some((record) => this.#records.has(record))
  }

  /** Of the same size and date. */
  like(facts: Facts | undefined): readonly MessageRecord[] {
    if (facts === undefined) return []
    return (this.#bySize.get(facts.sizeOctets) ?? []).filter(
      (record) => record.internalDate === facts.internalDate && this.#records.has(record),
    )
  }

  byDigest(digest: string): MessageRecord | undefined {
    if (this.#digests === undefined) {
      this.#digests = new Map()
      for (const record of this.#records) {
        const digest = this.#originalDigest(record) ?? record.digest
        const same = this.#digests.get(digest)
        if (same === undefined) this.#digests.set(digest, [record])
        else same.push(record)
      }
    }
    return this.#digests.get(digest)?.find((record) => this.#records.has(record))
  }

  take(record: MessageRecord): void {
    this.#records.delete(record)
  }
}

export async function factsOf(control: ImapFlow, uids: readonly Uid[]): Promise<ReadonlyMap<Uid, Facts>> {
  const facts = new Map<Uid, Facts>()
  for (const set of sets(uids))
    for await (const { uid, size, internalDate } of control.fetch(formatUids(set), query, { uid: true })) {
      const date = internalDate === undefined ? Number.NaN : new Date(internalDate).getTime()
      facts.set(uid as Uid, { sizeOctets: size ?? -1, internalDate: Math.floor(date / 1000) })
    }
  return facts
}

const query = { uid: true, size: true, internalDate: true } as const

/** Digests of headers; only of those that tell messages apart. */
export async function headersOf(control: ImapFlow, uids: readonly Uid[]): Promise<ReadonlyMap<Uid, string>> {
  const headers = new Map<Uid, string>()
  if (uids.length === 0) return headers
  for await (const { uid, headers: octets } of control.fetch(
    formatUids(uids),
    { uid: true, headers: true },
    { uid: true },
  ))
    if (octets !== undefined && /^message-id:[ \t]*[^ \t\r\n]/im.test(octets.toString('latin1')))
      headers.set(uid as Uid, digestOfHeader(octets))
  return headers
}

export async function headerHere(mailbox: Mailbox, record: MessageRecord): Promise<string> {
  await using content = await mailbox.content(record)
  return digestOfHeader(await content.read(0, Math.min(content.sizeOctets, headerLimit)))
}

/** Servers give a header with its empty line or without. */
function digestOfHeader(octets: Buffer): string {
  const header = headerOf(octets.subarray(0, headerLimit))
  let end = header.length
  while (end > 0 && (header[end - 1] === 10 || header[end - 1] === 13)) end -= 1
  return hash('sha256', header.subarray(0, end), 'base64url')
}

function digests(
  connection: ImapConnection,
  uids: readonly Uid[],
  setSize: number,
  each: (uid: Uid, digest: string) => void,
): Promise<void> {
  return fetchBodies(connection, {
    uids,
    setSize,
    open: ({ uid }): BodySink => {
      const sha256 = createHash('sha256')
      return {
        write: (chunk) => void sha256.update(chunk),
        end: () => each(uid, sha256.digest('base64url')),
        abort: () => {},
      }
    },
    refused: () => {},
  })
}
