/**
 * Decides about logins: against the embedded accounts, or in gateway mode by asking ms_syncd, which asks the user's master backend
 * (GW-12, GW-25). In synchronisation mode ms_syncd is told whom an account let in (SYN-01); with both modes, an account decides where there
 * is one (docs/decisions/0161-synchronisation-mode.md). Whoever is refused learns nothing about which users exist: the words and the work are the same
 * for an unknown user and a wrong password (a decoy is hashed).
 */

import type { Clock } from '../base/clock.ts'
import { AuthError, type AuthErrorKind, StoreError, SyntaxFault } from '../base/errors.ts'
import type { UserId } from '../base/ids.ts'
import type { Log } from '../base/log.ts'
import type { Config } from '../config/config.ts'
import { serviceAccess } from './access.ts'
import { type Accounts, openAccounts } from './accounts.ts'
import { createHashPool, type HashPool } from './hash-pool.ts'
import { createThrottle } from './throttle.ts'
import type { Authenticator, Login, LoginRequest } from './types.ts'
import { canonicalUserId, defaultDomain } from './user-id.ts'
import { decoy } from './verifier.ts'

/** `ask` of the event bus (src/events/types.ts). */
export type Ask = (
  service: string,
  request: AuthenticateRequest | AdmittedRequest,
  options: { readonly secret?: true; readonly timeoutMs: number; readonly signal: AbortSignal },
) => Promise<unknown>

/** What ms_syncd is asked. It answers an AuthenticateAnswer. */
export type AuthenticateRequest = {
  readonly type: 'authenticate'
  /** As the client sent it. */
  readonly user: string
  /** Canonical. */
  readonly userId: string
  /** Base64 of the octets. */
  readonly password: string
  readonly service: LoginRequest['service']
  readonly remoteAddress: string
}
/** ms_syncd is told that an account let a user in. It answers an AdmittedAnswer or a refusal. */
export type AdmittedRequest = {
  readonly type: 'admitted'
  readonly user: string
  readonly userId: string
  /** Only when it was needed. */
  readonly password?: string
}
/** `passwordNeeded`: a backend of the user has no password of its own. Nothing was done: tell it again with the password. */
export type AdmittedAnswer = { readonly ok: true; readonly userId: string; readonly passwordNeeded: boolean }
export type AuthenticateAnswer =
  | { readonly ok: true; readonly userId: string }
  | { readonly ok: false; readonly kind: AuthErrorKind; readonly text: string }

/** A login waits for ms_syncd as long as the backend may take to answer, or for a whole first synchronisation (GW-17). */
const fastLoginTimeoutMs = 3 * 60_000
const wholeSyncTimeoutMs = 6 * 60 * 60_000
/** More than anybody types or a token has. */
const maxPasswordOctets = 4096

export interface ReloadableAuthenticator extends Authenticator {
  /** From now on by this configuration. What was counted against addresses stays. */
  reload(config: Config): void
}

export interface AuthenticatorParts {
  readonly config: Config
  readonly log: Log
  readonly clock: Clock
  /** Needed in gateway and in synchronisation mode. */
  readonly ask?: Ask
  /** The authenticator's own when not given. */
  readonly hashPool?: HashPool
}

/** Throws TypeError for gateway or synchronisation mode without `ask`. */
export const createAuthenticator = (parts: AuthenticatorParts): ReloadableAuthenticator => {
  const { log, clock, ask, hashPool = createHashPool() } = parts
  let config = parts.config
  let accounts = openAccounts(config.get('account_db'))
  const throttle = createThrottle(clock, () => config.get('failed_logins_per_minute'))
  const check = (candidate: Config) => {
    if ((candidate.get('gateway_mode') || candidate.get('sync_mode')) && ask === undefined)
      throw new TypeError('gateway and synchronisation mode need a way to ask ms_syncd')
  }
  check(config)

  const decide = async (request: LoginRequest): Promise<Login> => {
    const { service, user, password } = request
    if (serviceAccess(config, service) === 'deny' && config.get('gateway_mode')) throw denied(service)
    checkPassword(password)
    const userId = canonical(user, request.localAddress, config)
    const timeoutMs = config.get('backend_fast_login') ? fastLoginTimeoutMs : wholeSyncTimeoutMs
    const asksBackend = config.get('gateway_mode')
    // Whoever has an account is decided here; whether there is one is not told.
    const hasAccount = !asksBackend || (config.get('sync_mode') && (await accounts.find(userId)) !== undefined)
    if (ask === undefined || hasAccount) {
      const login = await checkAccount({ accounts, hashPool, config }, userId, request)
      if (ask !== undefined && config.get('sync_mode')) await tellAdmitted(ask, request, userId, timeoutMs, log)
      return login
    }
    return askGateway(ask, request, userId, timeoutMs)
  }

  return {
    login: async (request) => {
      const { service, remoteAddress, sessionId, secure } = request
      const user = request.user.slice(0, 320)
      // AUTH-14
      const fields = { session: sessionId, client: remoteAddress, service, user, tls: secure }
      const wait = throttle.wait(remoteAddress)
      if (wait > 0) {
        log.log('notice', 'login refused: too many wrong passwords from this address', fields)
        throw new AuthError('unavailable', `too many failed logins; try again in ${Math.ceil(wait / 1000)} seconds`)
      }
      try {
        const login = await decide(request)
        log.log('notice', 'login', { ...fields, user: login.userId })
        return login
      } catch (error) {
        const fault = asAuthError(error)
        if (fault.kind === 'bad-credentials') throttle.failed(remoteAddress)
        log.log('notice', 'login failed', { ...fields, kind: fault.kind, reason: reasonOf(fault) })
        throw fault
      }
    },
    reload: (next) => {
      check(next)
      if (next.get('account_db') !== config.get('account_db')) accounts = openAccounts(next.get('account_db'))
      config = next
    },
  }
}

/** The words for every refusal that could tell whether a user exists. */
const badCredentials = (cause?: unknown) => new AuthError('bad-credentials', 'wrong user name or password', { cause })
const denied = (service: string) => new AuthError('denied', `this user may not use ${service}`)

/**
 * Before anybody is asked: an empty password would make a directory bind anonymously (RFC 4513 §5.1.2); NUL can't be sent on
 * (RFC 4616 §2), and neither can CR and LF by POP3 and IMAP.
 */
const checkPassword = (password: Buffer) => {
  if (password.length === 0 || password.length > maxPasswordOctets) throw badCredentials()
  for (const octet of password) if (octet === 0 || octet === 10 || octet === 13) throw badCredentials()
}

const canonical = (user: string, localAddress: string, config: Config): UserId => {
  try {
    return canonicalUserId(user, defaultDomain(config, localAddress))
  } catch (cause) {
    if (cause instanceof SyntaxFault) throw badCredentials(cause)
    throw cause
  }
}

const checkAccount = async (
  { accounts, hashPool, config }: { readonly accounts: Accounts; readonly hashPool: HashPool; readonly config: Config },
  userId: UserId,
  { password, service }: LoginRequest,
): Promise<Login> => {
  const account = await accounts.find(userId)
  const matches = await hashPool.verify(password, account?.verifiers?.scrypt ?? decoy)
  if (account === undefined || !matches) throw badCredentials()
  if (account.state === 'disabled') throw new AuthError('denied', 'this account is disabled')
  if (account.state === 'migrating') throw new AuthError('denied', 'this account waits for its migration')
  if (serviceAccess(config, service, account.services) === 'deny') throw denied(service)
  return { userId }
}

const askGateway = async (
  ask: Ask,
  { user, password, service, remoteAddress, signal }: LoginRequest,
  userId: UserId,
  timeoutMs: number,
): Promise<Login> => {
  let answer: unknown
  try {
    answer = await ask(
      'ms_sync',
      { type: 'authenticate', user, userId, password: password.toString('base64'), service, remoteAddress },
      { secret: true, timeoutMs, signal },
    )
  } catch (cause) {
    throw new AuthError('unavailable', 'the mail gateway can not be asked now', { cause })
  }
  const refusal = readAnswer(answer)
  if (refusal !== undefined) throw refusal
  return { userId }
}

/** SYN-01: mail that is here is served whether or not it can be synchronised, so a failure is no refusal. */
const tellAdmitted = async (
  ask: Ask,
  { user, password, signal }: LoginRequest,
  userId: UserId,
  timeoutMs: number,
  log: Log,
): Promise<void> => {
  const told = { type: 'admitted', user, userId } as const
  try {
    const answer = await ask('ms_sync', told, { timeoutMs, signal })
    const refusal = readAnswer(answer)
    if (refusal !== undefined) throw refusal
    if ((answer as AdmittedAnswer).passwordNeeded !== true) return
    const withPassword = { ...told, password: password.toString('base64') }
    const second = readAnswer(await ask('ms_sync', withPassword, { secret: true, timeoutMs, signal }))
    if (second !== undefined) throw second
  } catch (error) {
    signal.throwIfAborted()
    log.log('warning', 'logged in without a look at the backends', { user: userId, reason: (error as Error).message })
  }
}

const kinds: readonly string[] = [
  'bad-credentials',
  'denied',
  'unavailable',
  'login-delay',
  'in-use',
  'privacy-required',
] satisfies readonly AuthErrorKind[]

/** The refusal in an AuthenticateAnswer; undefined when it says yes. */
const readAnswer = (answer: unknown): AuthError | undefined => {
  const unreadable = () =>
    new AuthError('unavailable', 'the mail gateway can not be asked now', {
      cause: new Error('unreadable answer of ms_syncd'),
    })
  if (typeof answer !== 'object' || answer === null || !('ok' in answer)) return unreadable()
  if (answer.ok === true) return undefined
  if (answer.ok !== false || !('kind' in answer) || !('text' in answer)) return unreadable()
  const { kind, text } = answer
  if (typeof kind !== 'string' || !kinds.includes(kind) || typeof text !== 'string') return unreadable()
  return kind === 'bad-credentials' ? badCredentials(new Error(text)) : new AuthError(kind as AuthErrorKind, text)
}

/** A damaged account file or a full disk must not look like a wrong password. */
const asAuthError = (error: unknown): AuthError => {
  if (error instanceof AuthError) return error
  const text = error instanceof StoreError ? 'the account database is not available' : 'the login could not be decided'
  return new AuthError('unavailable', text, { cause: error })
}

/** For the log alone; no cause of ours carries a password. */
const reasonOf = ({ cause, message }: AuthError): string =>
  (cause instanceof Error ? cause.message : message).slice(0, 500)
