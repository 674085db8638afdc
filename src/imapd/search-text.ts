/** Whether the text of a message has what a command looks for. RFC 3501 §6.4.4; what BODY and TEXT mean: RFC 9051 §6.4.4 */

import { StoreError } from '../base/errors.ts'
import { searchedOctets, searchedText } from '../store/searched-text.ts'
import type { MessageText } from '../store/text-block.ts'
import type { SearchedText } from '../store/text-cache.ts'
import type { Mailbox, MessageRecord } from '../store/types.ts'

const lineFeed = 10

/** Texts that are looked for, folded, and their octets. */
export type Wanted = ReadonlyMap<string, Buffer>

/** A field that is looked for: how its lines begin, and what has to be in one; of an empty text the field alone is asked for. */
export interface WantedField {
  readonly start: Buffer
  readonly octets: Buffer
}

/** `name` in lower case, `text` folded. */
export const wantedField = (name: string, text: string): WantedField => ({
  start: Buffer.from(`\n${name.toUpperCase()}: `, 'latin1'),
  octets: searchedOctets(text),
})

export class LookedInto {
  readonly #header: Buffer
  readonly #inHeaders: ReadonlySet<string>
  readonly #inBody: ReadonlySet<string>

  private constructor(header: Buffer, inHeaders: ReadonlySet<string>, inBody: ReadonlySet<string>) {
    this.#header = header
    this.#inHeaders = inHeaders
    this.#inBody = inBody
  }

  /** Looks for the texts; undefined: the message can't be read. Throws StoreError: unavailable. */
  static async of(
    mailbox: Mailbox,
    record: MessageRecord,
    searched: SearchedText,
    texts: Wanted,
  ): Promise<LookedInto | undefined> {
    if (searched === 'unreadable') return undefined
    if (searched !== 'long') return LookedInto.#ofKept(searched, texts)
    try {
      return await LookedInto.#ofLong(mailbox, record, texts)
    } catch (error) {
      if (error instanceof StoreError && (error.kind === 'damaged' || error.kind === 'expunged')) return undefined
      throw error
    }
  }

  static #ofKept({ octets, headerEnd, headersEnd }: MessageText, texts: Wanted): LookedInto {
    const [inHeaders, inBody] = [new Set<string>(), new Set<string>()]
    for (const [text, wanted] of texts) {
      const first = octets.indexOf(wanted)
      if (first < 0) continue
      if (first < headersEnd) inHeaders.add(text)
      if (first >= headersEnd || octets.indexOf(wanted, headersEnd) >= 0) inBody.add(text)
    }
    return new LookedInto(octets.subarray(0, headerEnd), inHeaders, inBody)
  }

  /** Piece by piece, until everything is found. */
  static async #ofLong(mailbox: Mailbox, record: MessageRecord, texts: Wanted): Promise<LookedInto> {
    const overlap = Math.max(0, ...texts.values().map(({ length }) => length - 1))
    const [inHeaders, inBody] = [new Set<string>(), new Set<string>()]
    let header: Buffer = Buffer.alloc(0)
    let before: Buffer = Buffer.alloc(0)
    const { root } = await mailbox.summary(record)
    await using content = await mailbox.content(record)
    for await (const { where, octets, goesOn } of searchedText(content, root)) {
      if (where === 'header') header = octets
      const looked = goesOn && before.length > 0 ? Buffer.concat([before, octets]) : octets
      const found = where === 'body' ? inBody : inHeaders
      for (const [text, wanted] of texts) if (!found.has(text) && looked.includes(wanted)) found.add(text)
      if (inBody.size === texts.size) break
      before = overlap > 0 ? Buffer.from(looked.subarray(-overlap)) : Buffer.alloc(0)
    }
    return new LookedInto(header, inHeaders, inBody)
  }

  fieldHas({ start, octets }: WantedField): boolean {
    const header = this.#header
    for (let at = header.indexOf(start); at >= 0; at = header.indexOf(start, at + start.length)) {
      if (octets.length === 0) return true
      const end = header.indexOf(lineFeed, at + start.length)
      if (header.subarray(at + start.length, end < 0 ? header.length : end).includes(octets)) return true
    }
    return false
  }

  /** `text` is one of those that were looked for. */
  has(text: string, alsoInHeaders: boolean): boolean {
    return this.#inBody.has(text) || (alsoInHeaders && this.#inHeaders.has(text))
  }
}
