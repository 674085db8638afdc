/** What is shown in place of a message that was refused on the way: who wrote it, and why it is not here. */
import { splitFields } from '#src/mime/header.ts'

const shown = new Set(['from', 'to', 'cc', 'date', 'subject'])
/** Of one field that is taken over. */
const fieldCharacters = 4_000
const reasonCharacters = 1_000

/** `start`: of the original, with its header. `refusedBy`: with article. */
export const noticeInstead = (start: Buffer, refusedBy: string, reason: string): Buffer => {
  const fields = splitFields(start.toString('latin1'))
    .filter(({ name, raw }, index, all) => {
      const isFirst = all.findIndex((other) => other.name === name) === index
      return shown.has(name) && isFirst && raw.length <= fieldCharacters
    })
    .map(({ name, raw }) => (name === 'subject' ? `Subject: [refused]${raw.slice(raw.indexOf(':') + 1)}` : raw))
  const said = reason.slice(0, reasonCharacters).replace(/[\x00-\x1f\x7f]+/g, ' ')
  const text = [
    `This message is not shown, because ${refusedBy} refused it. It said:`,
    '',
    `    ${said}`,
    '',
    'The message is still at the mail server that it was to be fetched from. Deleting this notice deletes the message there, too.',
  ]
  return Buffer.concat([
    Buffer.from(fields.map((raw) => raw.replace(/\r?\n/g, '\r\n')).join(''), 'latin1'),
    Buffer.from(
      `MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n${text.join('\r\n')}\r\n`,
    ),
  ])
}
