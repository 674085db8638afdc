/** Stands in until the mime room lands: one-part messages only. */
import type { MessageSummary, Part } from '../mime/types.ts'
import type { Section } from '../proto/imap/section.ts'
export const SUMMARY_FIELDS = [
  'date',
  'subject',
  'from',
  'to',
  'cc',
  'bcc',
  'sender',
  'reply-to',
  'in-reply-to',
  'message-id',
]
const fieldsOf = (h: string) =>
  (h.match(/[^\r\n]+\r\n(?:[ \t][^\r\n]*\r\n)*/g) ?? []).map(
    (f) => [f.slice(0, f.indexOf(':')).toLowerCase(), f] as const,
  )
export function summarize(octets: Uint8Array): MessageSummary {
  const text = Buffer.from(octets).toString('latin1')
  const at = text.indexOf('\r\n\r\n')
  const bodyStart = at < 0 ? text.length : at + 4
  const fields = fieldsOf(text.slice(0, bodyStart))
  const date = fields.find(([n]) => n === 'date')?.[1].slice(5)
  return {
    root: {
      start: 0,
      bodyStart,
      end: text.length,
      lines: 1,
      type: 'text',
      subtype: 'plain',
      parameters: [],
      id: undefined,
      description: undefined,
      encoding: /base64/.test(text) ? 'base64' : '7bit',
      md5: undefined,
      disposition: undefined,
      language: undefined,
      location: undefined,
      children: [],
      envelope: {
        date,
        subject: undefined,
        from: undefined,
        sender: undefined,
        replyTo: undefined,
        to: undefined,
        cc: undefined,
        bcc: undefined,
        inReplyTo: undefined,
        messageId: undefined,
      },
    },
    fields: fields.filter(([n]) => SUMMARY_FIELDS.includes(n)),
  }
}
export function findSection(root: Part, { part, text }: Section): { start: number; end: number } | undefined {
  if (part.length === 1 && part[0] !== 1) return undefined
  if (text === undefined && part.length === 0) return { start: 0, end: root.end }
  if (text === undefined || text === 'TEXT') return { start: root.bodyStart, end: root.end }
  return { start: 0, end: root.bodyStart }
}
export function selectFields(header: Buffer, names: readonly string[], wanted: boolean): Buffer {
  const set = new Set(names.map((n) => n.toLowerCase()))
  return Buffer.from(
    `${fieldsOf(header.toString('latin1'))
      .filter(([n]) => set.has(n) === wanted)
      .map(([, f]) => f)
      .join('')}\r\n`,
    'latin1',
  )
}
export const formatEnvelope = (_e: unknown) => 'NIL'
export const formatBodyStructure = (_p: Part, _o: { extended: boolean }) => 'NIL'
