/**
 * The conversation of the old server, once more, with imapd or pop3d here: a login as the user, as a client would. What it is told has to be what
 * the store says, message by message. docs/decisions/0267-no-redownload.md
 */
import { BackendError } from '#gateway/backend/errors.ts'
import type { ImapSession } from '#gateway/backend/imap/session.ts'
import { openBackend, openImapBackend } from '#gateway/backend/open-backend.ts'
import { BackendProfiles } from '#gateway/backend/profile.ts'
import { Slice } from '#gateway/backend/slice.ts'
import type { PopClient } from '#gateway/backend/types.ts'
import type { Gateway } from '#gateway/ms_syncd/gateway.ts'
import type { Accounts } from '#src/auth/accounts.ts'
import type { UserId } from '#src/base/ids.ts'
import type { Backend } from '#src/config/backends.ts'
import type { Config } from '#src/config/config.ts'
import { listenersOf } from '#src/config/listeners.ts'
import type { Mailbox } from '#src/store/types.ts'
import { identified } from './here.ts'
import { readMailbox } from './there-imap.ts'

export interface ReplayRequest {
  readonly gateway: Gateway
  readonly config: Config
  readonly accounts: Pick<Accounts, 'find' | 'matches'>
  readonly userId: UserId
  readonly password: Buffer | undefined
  readonly pop3: boolean
  readonly signal: AbortSignal
}

export interface Replay extends AsyncDisposable {
  /** Whether a client is told of this mailbox exactly what is in the state that it is open at. */
  confirms(mailbox: Mailbox): Promise<boolean>
}

/** Undefined: nobody can log in so, now. Only who has an account with this password does: nothing is counted as a guess. */
export const openReplay = async (request: ReplayRequest): Promise<Replay | undefined> => {
  const { gateway, config, accounts, userId, password, pop3, signal } = request
  const ours = oursOf(config, userId, pop3)
  // A login of ours would keep the user out for so long.
  if (ours === undefined || password === undefined || (pop3 && config.get('pop_login_delay') > 0)) return undefined
  const account = await accounts.find(userId)
  if (account?.state !== 'enabled' || !(await accounts.matches(userId, account, password))) return undefined
  const access = { ...gateway.access, profiles: new BackendProfiles() }
  const log = gateway.log.child({ user: userId })
  try {
    if (pop3) {
      const client = await openBackend(access, ours, password, log, signal)
      return {
        confirms: unlessLost((mailbox) => confirmsMaildrop(mailbox, client)),
        [Symbol.asyncDispose]: closing(client),
      }
    }
    const session = await openImapBackend(access, ours, password, log, signal)
    return {
      confirms: unlessLost((mailbox) => confirmsMailbox(mailbox, session)),
      [Symbol.asyncDispose]: () => session.logout(),
    }
  } catch (error) {
    if (!(error instanceof BackendError) || signal.aborted) throw error
    const { message, serverText } = error
    log.log('info', 'the certificate goes by the store alone: no login here as a client', {
      reason: message,
      reply: serverText,
    })
    return undefined
  }
}

/** On this machine. */
const oursOf = (config: Config, user: UserId, pop3: boolean): Backend | undefined => {
  const listener = listenersOf(config, pop3 ? 'pop3' : 'imap').find((each) => 'port' in each && each.port !== 0)
  if (listener === undefined || !('port' in listener)) return undefined
  const { host, port } = listener
  return {
    protocol: pop3 ? 'pop' : 'imap',
    host: host === '' || host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host,
    port,
    user,
    password: undefined,
    mailbox: '',
    intervalSeconds: -1,
    startTls: 'offered',
    tlsVerify: false,
  }
}

/** A login that was lost confirms nothing. */
const unlessLost =
  (confirms: Replay['confirms']): Replay['confirms'] =>
  async (mailbox) => {
    try {
      return await confirms(mailbox)
    } catch (error) {
      if (!(error instanceof BackendError)) throw error
      return false
    }
  }

const closing = (client: PopClient) => async () => client.close()

const confirmsMailbox = async (mailbox: Mailbox, { control }: ImapSession): Promise<boolean> => {
  const { uidValidity, columns } = await readMailbox(control, mailbox.name)
  const { messages } = mailbox
  if (uidValidity !== mailbox.uidValidity || columns.uids.length < messages.length) return false
  const slice = new Slice()
  // What came meanwhile has higher UIDs.
  for (let position = 0; position < messages.length; position++) {
    if (slice.isOver()) await slice.next()
    if (columns.uids[position] !== messages.uidAt(position)) return false
    if (columns.sizes[position] !== messages.sizeAt(position)) return false
    if (columns.dates[position] !== messages.internalDateAt(position)) return false
  }
  return true
}

const confirmsMaildrop = async (mailbox: Mailbox, client: PopClient): Promise<boolean> => {
  if (mailbox.name !== 'INBOX') return false
  const told = await client.uidl()
  const sizes = await client.list()
  const { messages } = mailbox
  if (told === undefined || told.listed.length < messages.length) return false
  const ids = await identified(mailbox)
  const slice = new Slice()
  for (let position = 0; position < messages.length; position++) {
    if (slice.isOver()) await slice.next()
    const { number, uidl } = told.listed[position]!
    if (uidl !== ids.at(position) || sizes.get(number) !== messages.sizeAt(position)) return false
  }
  return true
}
