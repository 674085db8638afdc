/**
 * From an address to an open maildrop: greeting, CAPA, STLS, CAPA again, login, CAPA, STAT.
 * What protects the password: docs/decisions/0081-stls-and-downgrade.md.
 */
import type { Log } from '#src/base/log.ts'
import type { LoginMethod } from '#src/config/ms-sync.ts'
import { checkCredentials, type Protection } from '../choose-login.ts'
import { BackendError } from '../errors.ts'
import type { BackendProfile } from '../profile.ts'
import type { Credentials } from '../sasl.ts'
import { type Capabilities, defaultLimits, type Limits, type PopClient } from '../types.ts'
import { noCapabilities, parseCapabilities } from './capabilities.ts'
import { type Address, PopConnection, type Reply, type TlsTrust } from './connection.ts'
import { logIn } from './login.ts'
import { refused } from './refused.ts'
import { PopSession } from './session.ts'

export interface OpenRequest extends Address {
  /** 'offered' goes on in clear where there is none, unless the host had it before. */
  readonly startTls: 'never' | 'offered' | 'required'
  /** Whether the certificate has to verify: of implicit TLS, and of 'required'. */
  readonly tlsVerify: boolean
  readonly credentials: Credentials
  /** Default: password. */
  readonly method?: LoginMethod
  readonly profile: BackendProfile
  readonly log: Log
  readonly trust?: TlsTrust
  readonly limits?: Limits
  readonly signal?: AbortSignal
}

/** Throws BackendError. One refused login is one attempt: nothing here tries a password twice. */
export const openMaildrop = async (request: OpenRequest): Promise<PopClient> => {
  const limits = request.limits ?? defaultLimits
  checkCredentials(request.credentials)
  const ready = await protect(request, limits)
  const { connection } = ready
  try {
    await logIn({ ...ready, credentials: request.credentials, method: request.method ?? 'password' })
    // Capabilities may differ behind the login (RFC 2449 §5). A server that had none before it is not asked again.
    const capabilities =
      ready.capabilities.known && request.profile.learned.capaAfterLoginFails !== true
        ? await askBehindLogin(connection, request, limits)
        : ready.capabilities
    if (capabilities.loginDelaySeconds > 0) request.profile.learned.loginDelaySeconds = capabilities.loginDelaySeconds
    else if (capabilities !== ready.capabilities) delete request.profile.learned.loginDelaySeconds
    remember(request.profile, ready.protection)
    return await PopSession.prove(connection, capabilities, ready.protection, request.profile, limits)
  } catch (error) {
    connection.close()
    throw error
  }
}

interface Ready {
  readonly connection: PopConnection
  readonly greeting: Reply
  readonly capabilities: Capabilities
  readonly protection: Protection
}

const protect = async (request: OpenRequest, limits: Limits): Promise<Ready> => {
  let stls: 'try' | 'no' = request.implicitTls || request.startTls === 'never' ? 'no' : 'try'
  for (let attempt = 0; ; attempt++) {
    const greeted = await greet(request, limits)
    const { connection, capabilities } = greeted
    if (request.implicitTls) return { ...greeted, protection: request.tlsVerify ? 'tls' : 'unverified' }
    if (stls === 'no') return { ...greeted, protection: 'none' }
    try {
      const protection = await startTls(request, connection, capabilities)
      if (protection === undefined) return { ...greeted, protection: 'none' }
      // What was said in clear does not count. RFC 2595 §4
      return { ...greeted, capabilities: await askCapabilities(connection, request, limits), protection }
    } catch (error) {
      connection.close()
      if (!(error instanceof BackendError) || error.kind !== 'tls' || attempt > 0 || mustProtect(request)) throw error
      request.log.log('warning', 'STLS with the backend failed; going on without protection', { reason: error.message })
      stls = 'no'
    }
  }
}

/** Undefined where it goes on in clear: not offered, or refused, and the policy lets it. */
const startTls = async (
  request: OpenRequest,
  connection: PopConnection,
  capabilities: Capabilities,
): Promise<'tls' | 'unverified' | undefined> => {
  const without = (why: string): undefined => {
    if (mustProtect(request))
      throw new BackendError('tls', `the backend ${why}, and a login without TLS is not allowed: ${hint(request)}`)
  }
  // A server without CAPA may know STLS all the same: asking costs nothing.
  if (capabilities.known && !capabilities.has('STLS')) return without('does not offer STLS')
  const reply = await connection.ask('STLS')
  if (!reply.ok) return without('refused STLS')
  const verified =
    request.tlsVerify && (request.startTls === 'required' || request.profile.learned.protection === 'tls')
  const protection = await connection.upgrade(verified)
  // Once for each host: it is the same at every session.
  if (protection === 'unverified' && request.profile.learned.protection === undefined)
    request.log.log('warning', "the backend's certificate can not be verified; encrypting all the same", {
      host: request.host,
    })
  return protection
}

/** Required by configuration, or had before: an attacker who removes the offer must not get the password. */
const mustProtect = (request: OpenRequest): boolean =>
  request.startTls === 'required' || request.profile.learned.protection !== undefined

const hint = (request: OpenRequest): string =>
  request.startTls === 'required'
    ? 'TLS is required for this backend'
    : "this backend had TLS before; set starttls='false' if it was switched off on purpose"

const remember = (profile: BackendProfile, protection: Protection): void => {
  if (protection !== 'none' && profile.learned.protection !== 'tls') profile.learned.protection = protection
}

/** Connects and asks for capabilities; where CAPA ends the session, connects again without. */
const greet = async (request: OpenRequest, limits: Limits): Promise<Omit<Ready, 'protection'>> => {
  for (let again = false; ; again = true) {
    const trust = { ...request.trust, rejectUnauthorized: request.tlsVerify }
    const { connection, greeting } = await PopConnection.open(request, limits, trust, request.signal)
    if (!greeting.ok) {
      connection.close()
      throw refused('the connection', greeting, 'greeting', false)
    }
    if (again || request.profile.learned.capaHangs === true)
      return { connection, greeting, capabilities: noCapabilities }
    try {
      return { connection, greeting, capabilities: await askCapabilities(connection, request, limits) }
    } catch (error) {
      connection.close()
      if (!(error instanceof BackendError) || (error.kind !== 'timeout' && error.kind !== 'closed')) throw error
      request.log.log('notice', 'the backend does not survive CAPA; going on without', { host: request.host })
    }
  }
}

/** A server that lets CAPA hang is not asked again. */
const askCapabilities = async (
  connection: PopConnection,
  { profile }: OpenRequest,
  limits: Limits,
): Promise<Capabilities> => {
  try {
    const { reply, body } = await connection.collect('CAPA', limits.lineOctets, limits.capaMs)
    return reply.ok ? parseCapabilities(body) : noCapabilities
  } catch (error) {
    if (error instanceof BackendError && error.kind === 'timeout') profile.learned.capaHangs = true
    throw error
  }
}

const askBehindLogin = async (
  connection: PopConnection,
  request: OpenRequest,
  limits: Limits,
): Promise<Capabilities> => {
  try {
    const capabilities = await askCapabilities(connection, request, limits)
    request.profile.answeredCapaAfterLogin()
    return capabilities
  } catch (error) {
    if (error instanceof BackendError && error.kind === 'closed') request.profile.lostAtCapaAfterLogin()
    throw error
  }
}
