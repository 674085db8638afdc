/** The message of `notify` by mailto. RFC 5436 §2.7 */
import type { Mailto } from '../../sieve/mailto.ts'
import type { RunningMessage } from '../../sieve/message.ts'
import type { NotifyAction } from '../../sieve/types.ts'
import { compose } from '../../submission/compose.ts'
import { type Desk, subjectOf } from './letter.ts'

const importances = { 1: ['High', '1'], 2: ['Normal', '3'], 3: ['Low', '5'] } as const

export async function notification(
  { from, message: text, importance }: NotifyAction,
  { to, cc, subject, body, fields }: Mailto,
  message: RunningMessage,
  owner: string,
  { now, messageId }: Desk,
): Promise<Buffer> {
  const [word, priority] = importances[importance]
  const title = text ?? subject ?? subjectOf(message)
  return compose({
    fields: [
      ['Auto-Submitted', `auto-notified; owner-email=${JSON.stringify(owner)}`],
      ['From', (from ?? owner).toWellFormed()],
      ['To', to.join(', ')],
      ...(cc.length === 0 ? [] : [['Cc', cc.join(', ')] as const]),
      ['Subject', title.toWellFormed()],
      ['Importance', word],
      ['X-Priority', priority],
      ...fields.map(
        ([name, value]) => [name.replace(/(?:^|-)[a-z]/g, (letter) => letter.toUpperCase()), value] as const,
      ),
    ],
    date: now,
    messageId,
    body: { type: 'text/plain; charset=utf-8', content: body ?? textOf(message) },
  })
}

const textOf = (message: RunningMessage): string =>
  ['from', 'subject', 'date']
    .flatMap((name) => message.fieldsNamed(name).slice(0, 1))
    .map(({ raw, text }) => `${raw.slice(0, raw.indexOf(':'))}: ${text.toWellFormed().replace(/[\r\n]+/g, ' ')}\r\n`)
    .join('')
