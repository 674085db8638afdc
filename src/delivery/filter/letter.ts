/** What all mail has in common that a script makes this site write. */
import { randomUUID } from 'node:crypto'
import { messageIds } from '../../mime/message-id.ts'
import type { RunningMessage } from '../../sieve/message.ts'

/** Who writes, and when: so that a letter is a function of its arguments. */
export interface Desk {
  readonly now: Date
  /** Of this site, for addresses of its own. */
  readonly domain: string
  /** Without angle brackets. */
  readonly messageId: string
}

export const deskAt = (nowMs: number, domain: string): Desk => ({
  now: new Date(nowMs),
  domain,
  messageId: `${randomUUID()}@${domain}`,
})

const referencesAtMost = 20
/** One can't be folded; a longer one is nobody's to be found again by. RFC 5322 §2.1.1 */
const idCharacters = 900

/** In-Reply-To and References of an answer. RFC 5322 §3.6.4 */
export function threading(message: RunningMessage): readonly (readonly [name: string, value: string])[] {
  const id = messageIdOf(message)
  if (id === undefined) return []
  const before = idsIn(message, 'references')
  const others = before.length > 0 ? before : idsIn(message, 'in-reply-to').slice(0, 1)
  return [
    ['In-Reply-To', `<${id}>`],
    [
      'References',
      [...others.filter((other) => other !== id).slice(-referencesAtMost), id].map((each) => `<${each}>`).join(' '),
    ],
  ]
}

/** Without angle brackets. */
export const messageIdOf = (message: RunningMessage): string | undefined => idsIn(message, 'message-id')[0]

/** Decoded; '' where there is none. */
export const subjectOf = (message: RunningMessage): string =>
  message.fieldsNamed('subject')[0]?.text.toWellFormed() ?? ''

function idsIn(message: RunningMessage, field: string): readonly string[] {
  return message
    .fieldsNamed(field)
    .flatMap(({ value }) => [...messageIds(value)])
    .filter((id) => id.length <= idCharacters)
}

/** Whether a program wrote it. RFC 3834 §5 */
export function isAutomatic(message: RunningMessage): boolean {
  return message.fieldsNamed('auto-submitted').some(({ value }) => !/^\s*no\b/i.test(value))
}
