/** Texts that SEARCH looks into, decoded and in one case. RFC 3501 §6.4.4; what BODY and TEXT mean: RFC 9051 §6.4.4 */

import { mimeLimits } from '../base/limits.ts'
import { decodeCharset, decodeUnlabelled } from '../mime/charset.ts'
import { decodeEncodedWords } from '../mime/encoded-word.ts'
import { fold } from '../mime/fold.ts'
import { type Field, fieldValue, splitFields } from '../mime/header.ts'
import { findParameter } from '../mime/parameter.ts'
import { SUMMARY_FIELDS } from '../mime/summary.ts'
import { decodeTransfer } from '../mime/transfer.ts'
import type { MessageSummary, Part } from '../mime/types.ts'
import type { Mailbox, MessageContent, MessageRecord } from '../store/types.ts'

const summaryFields: ReadonlySet<string> = new Set(SUMMARY_FIELDS)

/** Whether the summary has the fields of this lower-case name. */
export const isInSummary = ({ root }: MessageSummary, name: string): boolean =>
  summaryFields.has(name) && root.bodyStart <= mimeLimits.headerOctets

/** Whether a field of this name has `needle` in its decoded text; an empty needle asks for the field alone. */
export const summaryFieldHas = ({ fields }: MessageSummary, name: string, needle: string): boolean =>
  fields.some(([known, raw]) => known === name && decodedField({ name, raw }).includes(needle))

/** What a message's octets say about the texts of one command. */
export class MessageText {
  readonly #fields: readonly (readonly [name: string, text: string])[]
  readonly #inHeaders: ReadonlySet<string>
  readonly #inBody: ReadonlySet<string>

  private constructor(
    fields: readonly (readonly [string, string])[],
    inHeaders: ReadonlySet<string>,
    inBody: ReadonlySet<string>,
  ) {
    this.#fields = fields
    this.#inHeaders = inHeaders
    this.#inBody = inBody
  }

  /**
   * Reads the header, and the rest only when there are `texts` (folded) to be found in it. Throws StoreError: damaged, expunged,
   * unavailable.
   */
  static async read(
    mailbox: Mailbox,
    record: MessageRecord,
    { root }: MessageSummary,
    texts: readonly string[],
  ): Promise<MessageText> {
    await using content = await mailbox.content(record)
    const fields = await fieldsOf(content, root)
    const [inHeaders, inBody] = [new Set<string>(), new Set<string>()]
    if (texts.length > 0)
      for (const part of partsOf(root)) {
        const header = part === root ? fields : await fieldsOf(content, part)
        find(texts, header.map(([name, text]) => `${name}: ${text}`).join('\n'), inHeaders)
        if (isText(part)) await findInBody(texts, content, part, inBody)
      }
    return new MessageText(fields, inHeaders, inBody)
  }

  fieldHas(name: string, needle: string): boolean {
    return this.#fields.some(([known, text]) => known === name && text.includes(needle))
  }

  /** `text` is one of those given to `read`. */
  has(text: string, alsoInHeaders: boolean): boolean {
    return this.#inBody.has(text) || (alsoInHeaders && this.#inHeaders.has(text))
  }
}

/** Octets of a body that are decoded at once. */
const blockOctets = 256 * 1024

const decodedField = (field: Field): string => fold(decodeEncodedWords(fieldValue(field)))

/** The fields of a part's own header, decoded and folded. */
async function fieldsOf(content: MessageContent, part: Part): Promise<(readonly [name: string, text: string])[]> {
  const end = Math.min(part.bodyStart, part.start + mimeLimits.headerOctets)
  const header = await content.read(part.start, end)
  return splitFields(header.toString('latin1')).map((field) => [field.name, decodedField(field)])
}

/** What people read; of message parts those that are not looked into, such as delivery reports. */
const isText = ({ type, children }: Part) => children.length === 0 && /^(text|message)$/i.test(type)

function* partsOf(root: Part): Generator<Part, void, undefined> {
  const left = [root]
  for (let part = left.pop(); part !== undefined; part = left.pop()) {
    yield part
    left.push(...part.children.toReversed())
  }
}

function find(texts: readonly string[], text: string, found: Set<string>): void {
  for (const wanted of texts) if (!found.has(wanted) && text.includes(wanted)) found.add(wanted)
}

/** Block by block, so that a large body is neither held nor worked on in one go. */
async function findInBody(
  texts: readonly string[],
  content: MessageContent,
  part: Part,
  found: Set<string>,
): Promise<void> {
  const overlap = Math.max(...texts.map((text) => text.length)) - 1
  let before = ''
  for await (const block of decodedBlocks(content, part)) {
    const text = before + fold(decodeBody(block, part))
    find(texts, text, found)
    if (found.size === texts.length) return
    before = overlap > 0 ? text.slice(-overlap) : ''
  }
}

/** A body's octets without its transfer encoding, in blocks that end with a line where lines are of any reasonable length. */
async function* decodedBlocks(content: MessageContent, part: Part): AsyncGenerator<Buffer, void, undefined> {
  let encoded: Buffer = Buffer.alloc(0)
  let decoded: Buffer = Buffer.alloc(0)
  for (let at = part.bodyStart; at < part.end; at += blockOctets) {
    const end = Math.min(at + blockOctets, part.end)
    const isLast = end === part.end
    const [lines, rest] = cutAtLine(Buffer.concat([encoded, await content.read(at, end)]), isLast)
    encoded = rest
    const [whole, incomplete] = cutAtLine(Buffer.concat([decoded, decodeTransfer(lines, part.encoding)]), isLast)
    decoded = incomplete
    yield whole
  }
}

/** What is complete up to a line end, and what has to wait for more; nothing waits that is as long as a block. */
function cutAtLine(octets: Buffer, isLast: boolean): [whole: Buffer, rest: Buffer] {
  const end = octets.lastIndexOf(10) + 1
  if (isLast || octets.length - end >= blockOctets) return [octets, octets.subarray(octets.length)]
  return [octets.subarray(0, end), octets.subarray(end)]
}

function decodeBody(octets: Buffer, { parameters }: Part): string {
  const charset = findParameter(parameters, 'charset')
  return (charset === undefined ? undefined : decodeCharset(octets, charset)) ?? decodeUnlabelled(octets)
}
