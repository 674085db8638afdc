/** Octets that FETCH's sections name, RFC 3501 §6.4.5: small ones read ahead, large ones as ranges to be streamed. */

import { StoreError } from '../base/errors.ts'
import { mimeLimits } from '../base/limits.ts'
import { findSection, selectFields } from '../mime/section.ts'
import { SUMMARY_FIELDS } from '../mime/summary.ts'
import type { MessageSummary } from '../mime/types.ts'
import type { FetchSectionItem } from '../proto/imap/fetch.ts'
import type { Partial, Section } from '../proto/imap/section.ts'
import type { Mailbox, MessageContent, MessageRecord } from '../store/types.ts'

/** Octets of the message file, [start, end). */
export interface Range {
  readonly start: number
  readonly end: number
}

/** undefined: the message has no such section (NIL). */
export type Body = Buffer | Range | undefined

/** Everything of one message that an answer needs, so that a message that can't be read fails before a word of it is written. */
export interface Prepared {
  readonly summary: MessageSummary | undefined
  /** In the order of the sections asked for. */
  readonly bodies: readonly Body[]
  /** Where the ranges of `bodies` are read from; to be closed by the caller. */
  readonly content: MessageContent | undefined
}

/** Bodies up to this size are read ahead, into memory. */
const smallOctets = 64 * 1024

const summaryFields: ReadonlySet<string> = new Set(SUMMARY_FIELDS)

/** Throws StoreError: damaged, expunged, unavailable. */
export async function prepare(
  mailbox: Mailbox,
  record: MessageRecord,
  needsSummary: boolean,
  sections: readonly FetchSectionItem[],
): Promise<Prepared> {
  const parsed = needsSummary || sections.some(({ section }) => !isWhole(section))
  const summary = parsed ? await mailbox.summary(record) : undefined
  if (summary !== undefined && sections.every(({ section }) => isCached(summary, section))) {
    const bodies = sections.map(({ section, partial }) => cut(cachedFields(summary, section), partial))
    return { summary, bodies, content: undefined }
  }
  const content = await mailbox.content(record)
  let open = false
  try {
    const bodies: Body[] = []
    for (const { section, partial } of sections) bodies.push(cut(await bodyOf(content, summary, section), partial))
    open = bodies.some(isRange)
    return { summary, bodies, content: open ? content : undefined }
  } finally {
    if (!open) await content[Symbol.asyncDispose]()
  }
}

export const isRange = (body: Body): body is Range => body !== undefined && !Buffer.isBuffer(body)

const isWhole = ({ part, text }: Section) => part.length === 0 && text === undefined

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

/** The section before its partial is cut; what is small, or has to be picked from, is read. */
async function bodyOf(content: MessageContent, summary: MessageSummary | undefined, section: Section): Promise<Body> {
  const range = summary === undefined ? { start: 0, end: content.sizeOctets } : findSection(summary.root, section)
  if (range === undefined) return undefined
  const picks = section.text === 'HEADER.FIELDS' || section.text === 'HEADER.FIELDS.NOT'
  if (!picks && range.end - range.start > smallOctets) return range
  const octets = await content.read(range.start, range.end)
  if (octets.length !== range.end - range.start)
    throw new StoreError('damaged', 'message is shorter than it was when it came')
  return picks ? selectFields(octets, section.fields, section.text === 'HEADER.FIELDS') : octets
}

/** RFC 3501 §6.4.5: from the offset, fewer octets at the end, none behind it. */
function cut(body: Body, partial: Partial | undefined): Body {
  if (partial === undefined || body === undefined) return body
  const { offsetOctets, lengthOctets } = partial
  if (Buffer.isBuffer(body)) return body.subarray(offsetOctets, offsetOctets + lengthOctets)
  const start = Math.min(body.start + offsetOctets, body.end)
  return { start, end: Math.min(start + lengthOctets, body.end) }
}
