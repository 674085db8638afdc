/** Texts that SEARCH looks into: decoded, in one case. */

import { SUMMARY_FIELDS } from '../mime/summary.ts'
import type { MessageSummary } from '../mime/types.ts'
import type { Mailbox, MessageRecord } from '../store/types.ts'

export const isCachedField = (name: string): boolean => SUMMARY_FIELDS.includes(name)
export const fold = (text: string): string => text.toLowerCase()

export class MessageText {
  readonly #text: string
  readonly #header: string
  constructor(text: string, header: string) {
    this.#text = text
    this.#header = header
  }
  static async read(mailbox: Mailbox, record: MessageRecord, summary: MessageSummary): Promise<MessageText> {
    await using content = await mailbox.content(record)
    const octets = await content.read(0, content.sizeOctets)
    const body = octets.subarray(summary.root.bodyStart).toString('latin1')
    const text = summary.root.encoding === 'base64' ? Buffer.from(body, 'base64').toString() : body
    return new MessageText(fold(text), fold(octets.subarray(0, summary.root.bodyStart).toString('latin1')))
  }
  static cachedFieldHas(summary: MessageSummary, name: string, needle: string): boolean {
    return summary.fields.some(([n, f]) => n === name && fold(f.slice(f.indexOf(':') + 1)).includes(needle))
  }
  fieldHas(name: string, needle: string): boolean {
    return this.#header.split('\r\n').some((f) => f.startsWith(`${name}:`) && f.slice(name.length + 1).includes(needle))
  }
  has(needle: string, withHeader: boolean): boolean {
    return this.#text.includes(needle) || (withHeader && this.#header.includes(needle))
  }
}
