/** One IMAP session as admin_user for a user: old messages are found without touching anything, marked and expunged by UID. EXP-01, EXP-04, EXP-07 */
import { connect as connectSocket } from 'node:net'
import type { ImapFlow } from 'imapflow'
import type { Clock } from '../../../base/clock.ts'
import type { UserId } from '../../../base/ids.ts'
import type { Listener } from '../../../config/listeners.ts'
import { CommandError } from '../command.ts'
import type { Expiring } from './policy.ts'

export interface ImapService {
  readonly listener: Listener
  readonly adminUser: string
  readonly password: string
  /** Milliseconds without an answer after which a session counts as dead; undefined: never. */
  readonly patienceMs: number | undefined
  readonly clock: Clock
}

/** The administrator himself was refused: nobody else's turn would end otherwise. */
export class AdminRefused extends CommandError {
  override readonly name = 'AdminRefused' as 'CommandError'
}

/** UIDs in one STORE and one EXPUNGE. */
const atOnce = 500
const dayMs = 86_400_000

/** Removes what is older, and answers how many of each mailbox. A mailbox that is not there has nothing old. Throws CommandError, AdminRefused. */
export async function expire(
  service: ImapService,
  userId: UserId,
  expiring: readonly Expiring[],
  now: number,
): Promise<ReadonlyMap<string, number>> {
  const session = await openSession(service, userId)
  try {
    const removed = new Map<string, number>()
    for (const { mailbox, seconds } of expiring) {
      const count = await expireMailbox(session, mailbox, new Date(now - seconds * 1000))
      if (count > 0) removed.set(mailbox, count)
    }
    await session.ask('LOGOUT', () => session.client.logout())
    return removed
  } finally {
    session.client.close()
  }
}

interface Session {
  readonly client: ImapFlow
  /** Does what is one command, within the time limit. */
  ask<T>(what: string, work: () => Promise<T>): Promise<T>
}

async function openSession({ listener, adminUser, password, patienceMs, clock }: ImapService, userId: UserId) {
  const isLocal = 'path' in listener || isLoopback(listener.host)
  const host = 'path' in listener ? 'localhost' : listener.host === '' ? '127.0.0.1' : listener.host
  const forEver = 2 ** 31 - 1
  // Half of all that msadm would load, and no other command needs it.
  const { ImapFlow } = await import('imapflow')
  const client = new ImapFlow({
    host,
    port: 'path' in listener ? 143 : listener.port,
    secure: false,
    auth: { user: adminUser, pass: password, authzid: userId, loginMethod: 'AUTH=PLAIN' },
    // On this machine nobody is in between, and the certificate names the service and not localhost.
    tls: { rejectUnauthorized: !isLocal },
    logger: false,
    disableAutoIdle: true,
    disableCompression: true,
    connectionTimeout: patienceMs ?? forEver,
    greetingTimeout: patienceMs ?? forEver,
    socketTimeout: forEver,
    ...('path' in listener && {
      transport: {
        connect: (_options: unknown, onConnect: () => void) => connectSocket(listener.path, onConnect),
      },
    }),
  })
  let lost: Error | undefined
  client.on('error', (error: Error) => {
    lost = error
  })
  const ask = async <T>(what: string, work: () => Promise<T>): Promise<T> => {
    const over = new AbortController()
    const deadline =
      patienceMs === undefined
        ? []
        : [
            clock.sleep(patienceMs, over.signal).then(() => {
              client.close()
              throw new CommandError(`no answer to ${what} for ${patienceMs / 1000} s (client_timeout)`)
            }),
          ]
    // Whichever comes second is of no interest.
    for (const late of deadline) late.catch(() => {})
    try {
      return await Promise.race([work(), ...deadline])
    } catch (error) {
      throw error instanceof CommandError ? error : new CommandError(wordsOf(lost ?? error, host))
    } finally {
      over.abort()
    }
  }
  try {
    await ask('the login', async () => {
      try {
        await client.connect()
      } catch (error) {
        throw loginFault(error, adminUser, client.capabilities.has('LOGINDISABLED'))
      }
    })
    return { client, ask } satisfies Session
  } catch (error) {
    client.close()
    throw error
  }
}

async function expireMailbox({ client, ask }: Session, mailbox: string, before: Date): Promise<number> {
  const opened = await ask('EXAMINE', () =>
    client.mailboxOpen(mailbox, { readOnly: true }).catch((error: ImapFault) => {
      if (error.serverResponseCode === 'NONEXISTENT') return undefined
      throw error
    }),
  )
  if (opened === undefined || opened.exists === 0) return 0
  // SEARCH knows days, in whichever zone: a day more, and then each by its second.
  const candidates = await ask('SEARCH', () =>
    client.search({ before: new Date(before.getTime() + 2 * dayMs) }, { uid: true }),
  )
  const old: number[] = []
  for (const uids of pieces(candidates || []))
    await ask('FETCH', async () => {
      for await (const { uid, internalDate } of client.fetch(uids, { uid: true, internalDate: true }, { uid: true }))
        if (internalDate !== undefined && new Date(internalDate) < before) old.push(uid)
    })
  if (old.length === 0) return 0
  // Only now for writing: a look at a mailbox takes \Recent away.
  const { uidValidity } = await ask('SELECT', () => client.mailboxOpen(mailbox))
  if (uidValidity !== opened.uidValidity) return 0
  for (const uids of pieces(old)) await ask('UID EXPUNGE', () => client.messageDelete(uids, { uid: true }))
  return old.length
}

/** Ascending UIDs as IMAP writes them, so many at once. */
function* pieces(uids: readonly number[]): Generator<string> {
  for (let at = 0; at < uids.length; at += atOnce) yield uids.slice(at, at + atOnce).join(',')
}

type ImapFault = Error & {
  readonly serverResponseCode?: string
  readonly authenticationFailed?: boolean
  readonly responseText?: string
  readonly code?: string
}

function loginFault(error: unknown, adminUser: string, isDisabled: boolean): Error {
  const { serverResponseCode, authenticationFailed, responseText, message } = error as ImapFault
  if (serverResponseCode === 'AUTHORIZATIONFAILED')
    return new CommandError(`${adminUser} may not act for this user: ${responseText ?? message}`)
  if (isDisabled)
    return new AdminRefused(
      'imapd takes no password without TLS: set tls_cert_file and tls_key_file, or login_disabled to false',
    )
  if (authenticationFailed)
    return new AdminRefused(`the password is not that of ${adminUser} (admin_user): ${responseText ?? message}`)
  return error as Error
}

function wordsOf(error: unknown, host: string): string {
  const { code, message, responseText } = error as ImapFault
  if (code === 'ECONNREFUSED') return `imapd at ${host} does not answer (${code}); is it running?`
  return responseText ?? message
}

const isLoopback = (host: string): boolean =>
  host === '' || host === 'localhost' || host === '::1' || host.startsWith('127.')
