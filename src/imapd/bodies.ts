/**
 * Octets that FETCH's sections name, RFC 3501 §6.4.5. What of a message is small is read ahead, each octet once whatever number of
 * items name it; everything else is read when it is written, in chunks. What a session holds is bounded by the budget for reading
 * ahead, plus one header and one chunk of the message being written: never by the number of items.
 */

import { StoreError } from '../base/errors.ts'
import { mimeLimits } from '../base/limits.ts'
import { findPart, findSection, type SplitHeader, selectFields, splitHeader } from '../mime/section.ts'
import { SUMMARY_FIELDS } from '../mime/summary.ts'
import { isKnownEncoding } from '../mime/transfer-stream.ts'
import type { MessageSummary } from '../mime/types.ts'
import type { FetchSectionItem } from '../proto/imap/fetch.ts'
import type { Partial, Section } from '../proto/imap/section.ts'
import type { Mailbox, MessageContent, MessageRecord } from '../store/types.ts'
import { type DecodedBody, decodedBody } from './decoded-body.ts'

/** Octets of the message file, [start, end). */
interface Range {
  readonly start: number
  readonly end: number
}

/** What was read before its turn. */
interface Ahead extends Range {
  readonly octets: Buffer
}

/** A section's octets, on their way. */
export interface Body {
  readonly sizeOctets: number
  readonly chunks: Iterable<Buffer> | AsyncIterable<Buffer>
}

/** Octets that somebody wants of a message. */
export type WantedSection = Pick<FetchSectionItem, 'section' | 'partial'>

/** Octets of one message that may be read ahead. */
const aheadOctets = 64 * 1024

/** What one session may hold of messages that it does not write yet. */
export class Budget {
  #leftOctets = 512 * 1024

  /** Says whether the octets may be held; then they are to be given back. */
  take(octets: number): boolean {
    if (octets > this.#leftOctets) return false
    this.#leftOctets -= octets
    return true
  }

  giveBack(octets: number): void {
    this.#leftOctets += octets
  }
}

/** One message made ready for its answer: it is known to be there and of its size, so that one that can't be read fails before a word is written. */
export class Prepared implements AsyncDisposable {
  readonly summary: MessageSummary | undefined
  readonly sizeOctets: number
  /** Where that is read from which was not read ahead. */
  readonly #content: MessageContent | undefined
  readonly #ahead: Ahead | undefined
  readonly #release: () => void
  /** The header that was picked from last, by where it starts. */
  #header: { readonly start: number; readonly split: SplitHeader } | undefined

  private constructor(
    summary: MessageSummary | undefined,
    sizeOctets: number,
    content: MessageContent | undefined,
    ahead: Ahead | undefined,
    release: () => void,
  ) {
    this.summary = summary
    this.sizeOctets = sizeOctets
    this.#content = content
    this.#ahead = ahead
    this.#release = release
  }

  /** Throws StoreError: damaged, expunged, unavailable. */
  static async of(
    mailbox: Mailbox,
    record: MessageRecord,
    needsSummary: boolean,
    sections: readonly WantedSection[],
    budget: Budget,
  ): Promise<Prepared> {
    const parsed = needsSummary || sections.some(({ section }) => !isWhole(section))
    const summary = parsed ? await mailbox.summary(record) : undefined
    if (summary !== undefined && sections.every(({ section }) => isCached(summary, section)))
      return new Prepared(summary, record.sizeOctets, undefined, undefined, () => {})
    const { sizeOctets } = record
    const uncached = sections.filter(({ section }) => summary === undefined || !isCached(summary, section))
    const range = hull(uncached.flatMap((item) => wantedRange(summary, sizeOctets, item) ?? []))
    const held = range.end - range.start
    if (held > aheadOctets || !budget.take(held))
      return new Prepared(summary, sizeOctets, await mailbox.content(record), undefined, () => {})
    const release = () => budget.giveBack(held)
    try {
      const octets = await mailbox.part(record, range.start, range.end)
      return new Prepared(summary, sizeOctets, undefined, { ...range, octets }, release)
    } catch (error) {
      release()
      throw error
    }
  }

  /** undefined: the message has no such section (NIL). Throws StoreError; so may reading the chunks. */
  async body(item: WantedSection): Promise<Body | undefined> {
    const { section, partial } = item
    if (this.summary !== undefined && isCached(this.summary, section))
      return held(cut(cachedFields(this.summary, section), partial))
    const range = wantedRange(this.summary, this.sizeOctets, item)
    if (range === undefined) return undefined
    if (picks(section)) {
      const chosen = selectFields(await this.#split(range), section.fields, section.text === 'HEADER.FIELDS')
      return held(cut(chosen, partial))
    }
    const { start, end } = range
    const octets = this.#readAhead(range)
    if (octets !== undefined) return held(octets)
    return { sizeOctets: end - start, chunks: start === end ? [] : this.#content!.stream(start, end) }
  }

  /** Whether the message has the section. */
  has({ section }: WantedSection): boolean {
    return wantedRange(this.summary, this.sizeOctets, { section, partial: undefined }) !== undefined
  }

  /** Whether the section's Content-Transfer-Encoding can be undone, or there is no such section. */
  isDecodable({ section }: WantedSection): boolean {
    return isKnownEncoding(this.#encodingOf(section))
  }

  /** The section decoded, and of that the partial; undefined: the message has no such section. Throws StoreError; so may reading the chunks. */
  async decoded({ section, partial }: WantedSection): Promise<DecodedBody | undefined> {
    const range = wantedRange(this.summary, this.sizeOctets, { section, partial: undefined })
    if (range === undefined) return undefined
    const { start, end } = range
    const octets = this.#readAhead(range)
    const chunks = () => (octets === undefined ? this.#content!.stream(start, end) : [octets])
    return await decodedBody(chunks, this.#encodingOf(section), partial)
  }

  /** That of a message, or of a part, says nothing of its header. */
  #encodingOf({ part, text }: Section): string {
    const root = this.summary?.root
    return root === undefined || part.length === 0 || text !== undefined
      ? '7bit'
      : (findPart(root, part)?.encoding ?? '7bit')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#release()
    await this.#content?.[Symbol.asyncDispose]()
  }

  #readAhead({ start, end }: Range): Buffer | undefined {
    const ahead = this.#ahead
    if (ahead === undefined || start < ahead.start || end > ahead.end) return undefined
    return ahead.octets.subarray(start - ahead.start, end - ahead.start)
  }

  async #split(range: Range): Promise<SplitHeader> {
    const { start, end } = range
    if (this.#header?.start === start) return this.#header.split
    const split = splitHeader(this.#readAhead(range) ?? (await readWhole(this.#content!, start, end)))
    this.#header = { start, split }
    return split
  }
}

const isWhole = ({ part, text }: Section) => part.length === 0 && text === undefined

/** The section is chosen from a header by the names of fields. */
const picks = ({ text }: Section) => text === 'HEADER.FIELDS' || text === 'HEADER.FIELDS.NOT'

const summaryFields: ReadonlySet<string> = new Set(SUMMARY_FIELDS)

/** Whether the summary alone has the answer. */
const isCached = ({ root }: MessageSummary, { part, text, fields }: Section) =>
  root.bodyStart <= mimeLimits.headerOctets &&
  part.length === 0 &&
  text === 'HEADER.FIELDS' &&
  fields.every((name) => summaryFields.has(name.toLowerCase()))

function cachedFields({ fields }: MessageSummary, section: Section): Buffer {
  const wanted = new Set(section.fields.map((name) => name.toLowerCase()))
  const chosen = fields.filter(([name]) => wanted.has(name)).map(([, field]) => field)
  // The empty line belongs to every header. RFC 3501 §6.4.5
  return Buffer.from(`${chosen.join('')}\r\n`, 'latin1')
}

/** Octets of the message that the item is made of: its part of the section, or as much of the header as is looked at. */
function wantedRange(
  summary: MessageSummary | undefined,
  sizeOctets: number,
  { section, partial }: WantedSection,
): Range | undefined {
  const range = summary === undefined ? { start: 0, end: sizeOctets } : findSection(summary.root, section)
  if (range === undefined) return undefined
  const { start, end } = range
  if (picks(section)) return { start, end: Math.min(end, start + mimeLimits.headerOctets) }
  if (partial === undefined) return range
  // RFC 3501 §6.4.5: from the offset, fewer octets at the end, none behind it.
  const from = Math.min(start + partial.offsetOctets, end)
  return { start: from, end: Math.min(from + partial.lengthOctets, end) }
}

function cut(octets: Buffer, partial: Partial | undefined): Buffer {
  if (partial === undefined) return octets
  return octets.subarray(partial.offsetOctets, partial.offsetOctets + partial.lengthOctets)
}

const held = (octets: Buffer): Body => ({ sizeOctets: octets.length, chunks: octets.length === 0 ? [] : [octets] })

/** From the first octet of any to the last. */
function hull(ranges: readonly Range[]): Range {
  if (ranges.length === 0) return { start: 0, end: 0 }
  return { start: Math.min(...ranges.map(({ start }) => start)), end: Math.max(...ranges.map(({ end }) => end)) }
}

async function readWhole(content: MessageContent, start: number, end: number): Promise<Buffer> {
  const octets = await content.read(start, end)
  if (octets.length !== end - start) throw new StoreError('damaged', 'message is shorter than it was when it came')
  return octets
}
