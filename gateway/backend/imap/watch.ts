/**
 * Waits for changes at an IMAP backend: in all mailboxes with NOTIFY (RFC 5465), else in INBOX alone; both by IDLE (RFC 2177), which is renewed
 * long before a server, or whatever lies between, gives the connection up.
 */
import { BackendError } from '../errors.ts'
import type { ImapConnection } from './connection.ts'
import { examine } from './examine.ts'
import type { ImapLogin } from './open.ts'
import type { Part } from './response-reader.ts'

/** Servers may end an IDLE after 30 minutes, and many a NAT forgets a connection sooner. */
const renewMs = 600_000
const events = 'MessageNew MessageExpunge FlagChange MailboxName SubscriptionChange'
/** What says that something is other than it was; a server that just says that it is still here says nothing. */
const news = /^(?:[0-9]+ (?:EXISTS|EXPUNGE|FETCH)|VANISHED|STATUS|LIST|OK \[NOTIFICATIONOVERFLOW\])(?: |$)/i

/** Calls `onChange` whenever something changed or may have, until the connection ends. Throws BackendError; `unsupported` where the server can't do that. */
export async function watchBackend(
  { connection, capabilities }: Pick<ImapLogin, 'connection' | 'capabilities'>,
  onChange: () => void,
  everyMs = renewMs,
): Promise<never> {
  if (!capabilities.has('IDLE'))
    throw new BackendError('unsupported', 'the backend has no IDLE, so it is looked at now and then')
  const untagged = ([line]: readonly Part[]) => {
    if (typeof line === 'string' && news.test(line)) onChange()
  }
  for (;;) {
    // Asked again each time: after an overflow the server tells no more. RFC 5465 §5.8
    const hasNotify = capabilities.has('NOTIFY') && (await notify(connection, capabilities))
    if (!hasNotify) await examine(connection, 'INBOX')
    // Whatever happened before, or while it was asked, was not told.
    onChange()
    const { promise: until, resolve } = Promise.withResolvers<void>()
    const timer = setTimeout(resolve, everyMs)
    try {
      const { condition } = await connection.run({ words: ['IDLE'], until, untagged })
      if (condition !== 'OK') throw new BackendError('unsupported', 'the backend refuses IDLE')
    } finally {
      clearTimeout(timer)
    }
  }
}

/** False when the server won't. */
async function notify(connection: ImapConnection, capabilities: ReadonlySet<string>): Promise<boolean> {
  // Without it the server does not tell of flags in mailboxes that are not selected. RFC 5465 §5.3
  if (capabilities.has('CONDSTORE') && capabilities.has('ENABLE')) await connection.run({ words: ['ENABLE CONDSTORE'] })
  const { condition } = await connection.run({ words: [`NOTIFY SET (personal (${events}))`] })
  return condition === 'OK'
}
