import type { Log } from '#src/base/log.ts'
import type { Backend } from '#src/config/backends.ts'
import { loginOf, type SessionLogin, type TokenSource } from './credentials.ts'
import { BackendError } from './errors.ts'
import { type ImapLogin, openImap } from './imap/open.ts'
import { ImapSession } from './imap/session.ts'
import type { SieveConnection } from './managesieve/connection.ts'
import { openSieve } from './managesieve/open.ts'
import type { PopConnection } from './pop3/connection.ts'
import { type OpenRequest, openMaildrop, openPopLogin } from './pop3/open.ts'
import type { BackendProfiles } from './profile.ts'
import type { TlsTrust } from './tls.ts'
import type { Limits, PopClient } from './types.ts'

/** What the sessions of a process share. */
export interface BackendAccess {
  readonly profiles: BackendProfiles
  readonly trust?: TlsTrust
  readonly tokens?: TokenSource
  readonly limits?: Limits
  /** Capabilities of IMAP backends that are not used, upper case. */
  readonly withoutCapabilities?: readonly string[]
}

/** What opens a session, of either protocol. */
export type SessionRequest = OpenRequest

/**
 * Logs in to a backend and proves that there is a maildrop. `password`: the user's, which the session proves; undefined: the gateway
 * logs in in the user's place. Throws BackendError.
 */
export const openBackend = (
  access: BackendAccess,
  backend: Backend,
  password: Buffer | undefined,
  log: Log,
  signal?: AbortSignal,
): Promise<PopClient> => withLogin(access, backend, password, log, signal, openMaildrop)

/** The same for an IMAP backend and its INBOX. `password` has to stay what it is until the session ends. Throws BackendError. */
export const openImapBackend = (
  access: BackendAccess,
  backend: Backend,
  password: Buffer | undefined,
  log: Log,
  signal?: AbortSignal,
): Promise<ImapSession> => {
  const login = () => openImapLogin(access, backend, password, log, signal)
  return ImapSession.open(login, log, access.limits, signal)
}

/** One connection alone. Throws BackendError. */
export const openImapLogin = async (
  access: BackendAccess,
  backend: Backend,
  password: Buffer | undefined,
  log: Log,
  signal?: AbortSignal,
): Promise<ImapLogin> => {
  const { capabilities, ...rest } = await withLogin(access, backend, password, log, signal, openImap)
  return { ...rest, capabilities: capabilities.difference(new Set(access.withoutCapabilities)) }
}

/** The same at a POP3 server. Throws BackendError. */
export const openPopBackendLogin = (
  access: BackendAccess,
  backend: Backend,
  password: Buffer,
  log: Log,
  signal?: AbortSignal,
): Promise<PopConnection> => withLogin(access, backend, password, log, signal, openPopLogin)

/**
 * The same at the ManageSieve server of a backend's host, as well protected as mail: where that has TLS, or had it once, nothing is said in clear.
 * Throws BackendError: of kind `connect` where there is no such server.
 */
export const openSieveLogin = (
  access: BackendAccess,
  backend: Backend,
  port: number,
  password: Buffer | undefined,
  log: Log,
  signal?: AbortSignal,
): Promise<SieveConnection> =>
  withLogin(access, backend, password, log, signal, ({ implicitTls, startTls, tlsVerify, profile, ...request }) => {
    const had = startTls === 'never' ? undefined : profile.learned.protection
    const isRequired = implicitTls || had !== undefined
    return openSieve({
      ...request,
      port,
      method: request.method ?? 'password',
      startTls: isRequired ? 'required' : startTls,
      tlsVerify: tlsVerify && (implicitTls || startTls === 'required' || had !== 'unverified'),
      profile: access.profiles.of(backend.host, port),
    })
  })

/** Opens a session as whom `password` says; once more with another token, where the backend refused one that was kept. */
const withLogin = async <S>(
  access: BackendAccess,
  backend: Backend,
  password: Buffer | undefined,
  log: Log,
  signal: AbortSignal | undefined,
  open: (request: SessionRequest) => Promise<S>,
): Promise<S> => {
  for (;;) {
    const login = await loginOf(backend, password, access.tokens)
    try {
      return await open(requestOf(access, backend, login, log, signal))
    } catch (error) {
      if (!(error instanceof BackendError) || error.kind !== 'auth' || !login.refused()) throw error
    } finally {
      login.credentials.secret.fill(0)
    }
  }
}

const requestOf = (
  { profiles, trust, limits }: BackendAccess,
  { host, port, protocol, startTls, tlsVerify, tlsFingerprints, tlsCa, tlsLegacy }: Backend,
  { credentials, method }: SessionLogin,
  log: Log,
  signal: AbortSignal | undefined,
): SessionRequest => ({
  host,
  port,
  implicitTls: protocol === 'pops' || protocol === 'imaps',
  startTls,
  tlsVerify,
  trust: {
    ...trust,
    ...(tlsCa === undefined ? {} : { ca: tlsCa }),
    ...(tlsFingerprints === undefined ? {} : { fingerprints: tlsFingerprints }),
    ...(tlsLegacy === undefined ? {} : { legacy: tlsLegacy }),
  },
  credentials,
  method,
  profile: profiles.of(host, port),
  log,
  ...(limits === undefined ? {} : { limits }),
  ...(signal === undefined ? {} : { signal }),
})
