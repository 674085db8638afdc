/** Whether the text of a message has what a command looks for. RFC 3501 §6.4.4; what BODY and TEXT mean: RFC 9051 §6.4.4 */

import { StoreError } from '../base/errors.ts'
import { searchedOctets, searchedText } from '../store/searched-text.ts'
import type { MessageText } from '../store/text-block.ts'
import type { SearchedText } from '../store/text-cache.ts'
import type { Mailbox, MessageRecord } from '../store/types.ts'

const lineFeed = 10

export class LookedInto {
  readonly #header: Buffer
  readonly #inHeaders: ReadonlySet<string>
  readonly #inBody: ReadonlySet<string>

  private constructor(header: Buffer, inHeaders: ReadonlySet<string>, inBody: ReadonlySet<string>) {
    this.#header = header
    this.#inHeaders = inHeaders
    this.#inBody = inBody
  }

  /** Looks for the texts (folded); undefined: the message can't be read. Throws StoreError: unavailable. */
  static async of(
    mailbox: Mailbox,
    record: MessageRecord,
    searched: SearchedText,
    texts: ReadonlySet<string>,
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

  static #ofKept({ octets, headerEnd, headersEnd }: MessageText, texts: ReadonlySet<string>): LookedInto {
    const [inHeaders, inBody] = [new Set<string>(), new Set<string>()]
    for (const text of texts) {
      const wanted = searchedOctets(text)
      const first = octets.indexOf(wanted)
      if (first < 0) continue
      if (first < headersEnd) inHeaders.add(text)
      if (first >= headersEnd || octets.indexOf(wanted, headersEnd) >= 0) inBody.add(text)
    }
    return new LookedInto(octets.subarray(0, headerEnd), inHeaders, inBody)
  }

  /** Piece by piece, until everything is found. */
  static async #ofLong(mailbox: Mailbox, record: MessageRecord, texts: ReadonlySet<string>): Promise<LookedInto> {
    const wanted = [...texts].map((text) => ({ text, octets: searchedOctets(text) }))
    const overlap = Math.max(0, ...wanted.map(({ octets }) => octets.length - 1))
    const [inHeaders, inBody] = [new Set<string>(), new Set<string>()]
    let header: Buffer = Buffer.alloc(0)
    let before: Buffer = Buffer.alloc(0)
    const { root } = await mailbox.summary(record)
    await using content = await mailbox.content(record)
    for await (const { where, octets, goesOn } of searchedText(content, root)) {
      if (where === 'header') header = octets
      const looked = goesOn && before.length > 0 ? Buffer.concat([before, octets]) : octets
      const found = where === 'body' ? inBody : inHeaders
      for (const one of wanted) if (!found.has(one.text) && looked.includes(one.octets)) found.add(one.text)
      if (inBody.size === texts.size) break
      before = overlap > 0 ? Buffer.from(looked.subarray(-overlap)) : Buffer.alloc(0)
    }
    return new LookedInto(header, inHeaders, inBody)
  }

  /** Whether a field of this lower-case name has `needle` (folded) in its text; an empty needle asks for the field alone. */
  fieldHas(name: string, needle: string): boolean {
    const start = Buffer.from(`\n${name.toUpperCase()}: `, 'latin1')
    const wanted = searchedOctets(needle)
    for (let at = this.#header.indexOf(start); at >= 0; at = this.#header.indexOf(start, at + start.length)) {
      const end = this.#header.indexOf(lineFeed, at + start.length)
      if (this.#header.subarray(at + start.length, end < 0 ? this.#header.length : end).includes(wanted)) return true
    }
    return false
  }

  /** `text` is one of those that were looked for. */
  has(text: string, alsoInHeaders: boolean): boolean {
    return this.#inBody.has(text) || (alsoInHeaders && this.#inHeaders.has(text))
  }
}
