/** Whether the text of a message has what a command looks for. RFC 3501 §6.4.4; what BODY and TEXT mean: RFC 9051 §6.4.4 */

import { StoreError } from '../base/errors.ts'
import { searchedOctets, searchedText } from '../store/searched-text.ts'
import type { MessageText } from '../store/text-block.ts'
import type { SearchedText } from '../store/text-cache.ts'
import type { Mailbox, MessageRecord } from '../store/types.ts'

/** Texts that are looked for, folded, and their octets. */
export type Wanted = ReadonlyMap<string, Buffer>

/** A field that is looked for: its name in upper case, and what has to be in its values, octets in latin1; of an empty text the field alone is asked for. */
export interface WantedField {
  readonly name: string
  readonly octets: string
}

/** `name` in lower case, `text` folded. */
export const wantedField = (name: string, text: string): WantedField => ({
  name: name.toUpperCase(),
  octets: searchedOctets(text).toString('latin1'),
})

export class LookedInto {
  readonly #header: Buffer
  readonly #inHeaders: ReadonlySet<string>
  readonly #inBody: ReadonlySet<string>
  #fields: ReadonlyMap<string, string> | undefined

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

  fieldHas({ name, octets }: WantedField): boolean {
    this.#fields ??= valuesByName(this.#header)
    return this.#fields.get(name)?.includes(octets) ?? false
  }

  /** `text` is one of those that were looked for. */
  has(text: string, alsoInHeaders: boolean): boolean {
    return this.#inBody.has(text) || (alsoInHeaders && this.#inHeaders.has(text))
  }
}

/** Of a header as it is kept, the values of each name with NUL between them: read once, whatever number of fields a search asks for. */
function valuesByName(header: Buffer): ReadonlyMap<string, string> {
  const fields = new Map<string, string>()
  for (const line of header.toString('latin1').split('\n')) {
    const colon = line.indexOf(': ')
    if (colon < 0) continue
    const name = line.slice(0, colon)
    const before = fields.get(name)
    const value = line.slice(colon + 2)
    fields.set(name, before === undefined ? value : `${before}\0${value}`)
  }
  return fields
}
