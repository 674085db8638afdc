/** Answers to those who write while one is away. RFC 5230, RFC 6131 */

import { outboundAddress } from '../address.ts'
import type { Extension } from '../language.ts'

const daySeconds = 86_400
/** More is as much as this. RFC 5230 §4.1: the site says */
const longestSeconds = 365 * daySeconds

export const vacation: Extension = {
  capability: 'vacation',
  commands: [
    {
      name: 'vacation',
      positional: [{ name: 'reason', type: 'string' }],
      tags: [
        { name: 'days', value: 'number' },
        { name: 'subject', value: 'string' },
        { name: 'from', value: 'string' },
        { name: 'addresses', value: 'string-list' },
        { name: 'mime' },
        { name: 'handle', value: 'string' },
      ],
      compile(given, context) {
        const reason = given.text('reason')
        const days = given.findNumber('days')
        const from = given.findText('from')
        const mime = given.has('mime')
        if (from?.constant !== undefined && outboundAddress(from.constant) === undefined)
          context.error(from.position, notAnAddress(from.constant))
        return (run) => {
          const texts = {
            reason: reason.of(run),
            subject: given.findText('subject')?.of(run),
            from: from?.of(run),
          }
          if (from !== undefined && outboundAddress(texts.from!) === undefined)
            run.fail(from.position, notAnAddress(texts.from!))
          // Another text is another vacation. §4.2
          const handle = given.findText('handle')?.of(run) ?? JSON.stringify([...Object.values(texts), mime])
          const addresses = given.findTexts('addresses')?.of(run) ?? []
          const periodSeconds =
            days === undefined ? undefined : Math.min(Math.max(days, 1) * daySeconds, longestSeconds)
          run.act(
            given.decorate({ type: 'vacation', ...texts, addresses, mime, handle, periodSeconds }, run),
            given.position,
          )
        }
      },
    },
  ],
}

export const vacationSeconds: Extension = {
  capability: 'vacation-seconds',
  implies: ['vacation'],
  tags: [
    {
      name: 'seconds',
      on: ['vacation'],
      value: 'number',
      excludes: ['days'],
      decorate: (action, given) =>
        action.type === 'vacation'
          ? { ...action, periodSeconds: Math.min(given.number('seconds'), longestSeconds) }
          : action,
    },
  ],
}

const notAnAddress = (text: string) =>
  `"${text.slice(0, 100)}" is no address to answer from: write one such as "user@example.org" or "Name <user@example.org>"`
