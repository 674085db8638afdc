/** From an address to a ManageSieve session that may be used: greeting, STARTTLS, login. What protects the password: docs/decisions/0081-stls-and-downgrade.md. */
import type { LoginMethod } from '#src/config/backend-record.ts'
import { checkCredentials, chooseLogin } from '../choose-login.ts'
import { BackendError } from '../errors.ts'
import {
  goOnInClear,
  mustProtect,
  mustVerify,
  noteProtection,
  type ProtectionRequest,
  rememberProtection,
} from '../protection.ts'
import { classifyRefusal, printable } from '../reply-classifier.ts'
import { answersOf, type Credentials, forget } from '../sasl.ts'
import { defaultLimits, type Limits } from '../types.ts'
import { type Answer, SieveConnection, type SievePlace, saslString } from './connection.ts'

export interface SieveRequest extends SievePlace, Omit<ProtectionRequest, 'implicitTls'> {
  readonly credentials: Credentials
  readonly method: LoginMethod
  readonly limits?: Limits
  readonly signal?: AbortSignal
}

/** There may be no such server at all, and a firewall that says nothing about that: nobody waits long for it. */
const connectMs = 10_000

/** Throws BackendError: of kind `connect` where there is no such server. One refused login is one attempt. */
export const openSieve = async (request: SieveRequest): Promise<SieveConnection> => {
  checkCredentials(request.credentials)
  const limits = request.limits ?? defaultLimits
  const asked = { ...request, implicitTls: false }
  const ready = await protect(asked, { ...limits, connectMs: Math.min(connectMs, limits.connectMs) })
  const { connection } = ready
  try {
    noteProtection(asked, connection)
    await authenticate(ready, request)
    rememberProtection(asked, connection.protection)
    return connection
  } catch (error) {
    connection.close()
    throw error
  }
}

/** By name, upper case. RFC 5804 §1.7 */
type Capabilities = ReadonlyMap<string, string>

interface Ready {
  readonly connection: SieveConnection
  readonly capabilities: Capabilities
}

const protect = async (request: SieveRequest & ProtectionRequest, limits: Limits): Promise<Ready> => {
  let startTls = request.startTls !== 'never'
  for (let attempt = 0; ; attempt++) {
    const { connection, greeting } = await SieveConnection.open(request, limits, request.trust ?? {}, request.signal)
    try {
      if (greeting.status !== 'OK') throw refused('the connection', greeting, 'greeting')
      const inClear = capabilitiesOf(greeting)
      if (startTls) {
        const secure = await upgrade(request, connection, inClear)
        // What was said in clear does not count. RFC 5804 §2.2
        if (secure !== undefined) return { connection, capabilities: capabilitiesOf(secure) }
      }
      return { connection, capabilities: inClear }
    } catch (error) {
      connection.close()
      if (!(error instanceof BackendError) || error.kind !== 'tls' || attempt > 0 || mustProtect(request)) throw error
      request.log.log('warning', 'STARTTLS with the backend failed; going on without protection', {
        reason: error.message,
      })
      startTls = false
    }
  }
}

/** Undefined where it goes on in clear: not offered, or refused, and the policy lets it. */
const upgrade = async (
  request: ProtectionRequest,
  connection: SieveConnection,
  capabilities: Capabilities,
): Promise<Answer | undefined> => {
  if (!capabilities.has('STARTTLS')) return goOnInClear(request, 'does not offer STARTTLS')
  const reply = await connection.run(Buffer.from('STARTTLS'))
  if (reply.status !== 'OK') return goOnInClear(request, 'refused STARTTLS')
  return connection.upgrade(mustVerify(request))
}

const authenticate = async (
  { connection, capabilities }: Ready,
  { credentials, method }: SieveRequest,
): Promise<void> => {
  const mechanisms = new Set((capabilities.get('SASL') ?? '').toUpperCase().split(' '))
  mechanisms.delete('')
  // There is no login but by SASL.
  const by = method === 'command' || method === 'apop' ? 'password' : method
  const exchange = chooseLogin({ mechanisms, command: false }, credentials, by, connection.protection)
  if (typeof exchange === 'string') throw new BackendError('unsupported', `there is no ${exchange} in ManageSieve`)
  const { initial, mechanism } = exchange
  const words: Buffer[] = [Buffer.from(`AUTHENTICATE "${mechanism}"`)]
  if (initial !== undefined) words.push(Buffer.from(' '), saslString(initial))
  const respond = answersOf(exchange, initial !== undefined)
  try {
    const reply = await connection.run(Buffer.concat(words), respond)
    if (reply.status !== 'OK') throw refused('the login', reply, 'login', exchange.fault)
    // §2.1: what the server says last may come with its OK.
    if (reply.codeData !== undefined) await respond(Buffer.from(reply.codeData.toString('latin1'), 'base64'))
    if (exchange.proven === false)
      throw new BackendError(
        'protocol',
        'the backend accepted a SCRAM login without proving that it knows the password',
      )
  } finally {
    for (const word of words) word.fill(0)
    forget(exchange)
  }
}

const capabilitiesOf = ({ lines }: Answer): Capabilities =>
  new Map(
    lines.map((tokens) => {
      const [name = '', value = ''] = tokens.map((token) =>
        token.type === 'string' ? token.octets.toString('latin1') : token.text,
      )
      return [name.toUpperCase(), value]
    }),
  )

/** `fault`: what the mechanism found wrong. */
export const refused = (
  what: string,
  { code, text }: Answer,
  stage: 'greeting' | 'login' | 'transaction',
  fault?: string,
): BackendError => {
  const { kind, retryAfterMs } = classifyRefusal(text, stage)
  return new BackendError(
    code === 'TRYLATER' ? 'temporary' : kind,
    `the backend refused ${what}${fault === undefined ? '' : ` (${fault})`}`,
    {
      serverText: printable(code === undefined ? text : `(${code}) ${text}`),
      ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    },
  )
}
