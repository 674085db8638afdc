/**
 * From an address to an open maildrop: greeting, CAPA, STLS, CAPA again, UTF8, login, CAPA, STAT.
 * What protects the password: docs/decisions/0081-stls-and-downgrade.md.
 */
import type { LoginMethod } from '#src/config/backend-record.ts'
import { checkCredentials, type Protection } from '../choose-login.ts'
import { BackendError } from '../errors.ts'
import {
  goOnInClear,
  mustProtect,
  mustVerify,
  noteProtection,
  type ProtectionRequest,
  rememberProtection,
} from '../protection.ts'
import type { Credentials } from '../sasl.ts'
import { type Capabilities, defaultLimits, type Limits, type PopClient } from '../types.ts'
import { noCapabilities, parseCapabilities } from './capabilities.ts'
import { type Address, PopConnection, type Reply } from './connection.ts'
import { logIn } from './login.ts'
import { refused } from './refused.ts'
import { PopSession } from './session.ts'

export interface OpenRequest extends Address, ProtectionRequest {
  readonly credentials: Credentials
  /** Default: password. */
  readonly method?: LoginMethod
  readonly limits?: Limits
  readonly signal?: AbortSignal
}

/** Logged in, and nothing more was said: for whoever reads on by himself. Throws BackendError, as `openMaildrop` does. */
export const openPopLogin = async (request: OpenRequest): Promise<PopConnection> => {
  checkCredentials(request.credentials)
  const ready = await protect(request, request.limits ?? defaultLimits)
  const { connection } = ready
  noteProtection(request, connection)
  try {
    await logIn({ ...ready, credentials: request.credentials, method: request.method ?? 'password' })
    rememberProtection(request, ready.protection)
    return connection
  } catch (error) {
    connection.close()
    throw error
  }
}

/** Throws BackendError. One refused login is one attempt: nothing here tries a password twice. */
export const openMaildrop = async (request: OpenRequest): Promise<PopClient> => {
  const limits = request.limits ?? defaultLimits
  checkCredentials(request.credentials)
  const ready = await protect(request, limits)
  const { connection } = ready
  noteProtection(request, connection)
  try {
    // Courier sends a message with octets above 127 in its header as an attachment of another one to who doesn't say this; it is for before the
    // login, behind STLS, and a refusal changes nothing. RFC 6856 §2.1
    if (ready.capabilities.has('UTF8')) await connection.ask('UTF8')
    await logIn({ ...ready, credentials: request.credentials, method: request.method ?? 'password' })
    // Capabilities may differ behind the login (RFC 2449 §5). A server that had none before it is not asked again.
    const capabilities =
      ready.capabilities.known && request.profile.learned.capaAfterLoginFails !== true
        ? await askBehindLogin(connection, request, limits)
        : ready.capabilities
    if (capabilities.loginDelaySeconds > 0) request.profile.learned.loginDelaySeconds = capabilities.loginDelaySeconds
    else if (capabilities !== ready.capabilities) delete request.profile.learned.loginDelaySeconds
    if (capabilities.expireDays !== undefined) request.profile.learned.expireDays = capabilities.expireDays
    else if (capabilities !== ready.capabilities) delete request.profile.learned.expireDays
    rememberProtection(request, ready.protection)
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
    if (request.implicitTls || stls === 'no') return { ...greeted, protection: connection.protection }
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
): Promise<Protection | undefined> => {
  // A server without CAPA may know STLS all the same: asking costs nothing.
  if (capabilities.known && !capabilities.has('STLS')) return goOnInClear(request, 'does not offer STLS')
  const reply = await connection.ask('STLS')
  if (!reply.ok) return goOnInClear(request, 'refused STLS')
  return connection.upgrade(mustVerify(request))
}

/** Connects and asks for capabilities; where CAPA ends the session, connects again without. */
const greet = async (request: OpenRequest, limits: Limits): Promise<Omit<Ready, 'protection'>> => {
  for (let again = false; ; again = true) {
    const { trust, tlsVerify, signal } = request
    const { connection, greeting } = await PopConnection.open(request, limits, trust, tlsVerify, signal)
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
