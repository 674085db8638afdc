/** What SEARCH looks for in a message's header, out of its summary: decoded and folded once, and then at hand. RFC 3501 §6.4.4 */

import { mimeLimits } from '../base/limits.ts'
import { sentDay } from '../mime/date.ts'
import { decodeEncodedWords } from '../mime/encoded-word.ts'
import { fold } from '../mime/fold.ts'
import { fieldValue } from '../mime/header.ts'
import { SUMMARY_FIELDS } from '../mime/summary.ts'
import type { MessageSummary } from '../mime/types.ts'

export interface HeaderTexts {
  /** Whole days since 1970-01-01, of a legible Date. */
  readonly sentDay: number | undefined
  readonly asked: ReadonlySet<string>
  /** Of the fields that were asked for, by lower-case name: folded values with NUL between them; undefined: no such field. What is not in it, only the message tells. */
  readonly fields: ReadonlyMap<string, string | undefined>
}

const summaryFields: ReadonlySet<string> = new Set(SUMMARY_FIELDS)

/** Whether a summary, but for that of a very long header, has the fields of this lower-case name. */
export const isInSummaries = (name: string): boolean => summaryFields.has(name)

/** `names`: lower case, those of fields that summaries have. */
export function headerTexts({ root, fields }: MessageSummary, names: ReadonlySet<string>): HeaderTexts {
  const texts = new Map<string, string | undefined>()
  const date = root.envelope?.date
  if (root.bodyStart <= mimeLimits.headerOctets)
    for (const name of names) {
      const values = fields.filter(([known]) => known === name).map(([, raw]) => foldedValue(name, raw))
      texts.set(name, values.length === 0 ? undefined : values.join('\0'))
    }
  return { sentDay: date === undefined ? undefined : sentDay(date), asked: names, fields: texts }
}

/** A field's value as it is searched: nothing in it looks like the end of a field. */
export const foldedValue = (name: string, raw: string): string =>
  fold(decodeEncodedWords(fieldValue({ name, raw }))).replace(/[\n\0]/g, ' ')
