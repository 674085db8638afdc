/** The login of a POP3 session: USER and PASS, APOP (RFC 1939 §7), AUTH (RFC 5034). */
import { createHash } from 'node:crypto'
import type { LoginMethod } from '#src/config/backend-record.ts'
import { chooseLogin, type Protection } from '../choose-login.ts'
import { BackendError } from '../errors.ts'
import { answersOf, base64, type Credentials, forget, type SaslExchange } from '../sasl.ts'
import type { Capabilities } from '../types.ts'
import type { PopConnection, Reply } from './connection.ts'
import { refused } from './refused.ts'

export interface LoginRequest {
  readonly connection: PopConnection
  readonly greeting: Reply
  /** Of the connection as it is protected now. */
  readonly capabilities: Capabilities
  readonly protection: Protection
  readonly credentials: Credentials
  readonly method: LoginMethod
}

/** With CRLF. RFC 2449 §4, RFC 5034 §4 */
const commandOctets = 255

/** One attempt. Throws BackendError. */
export const logIn = async (request: LoginRequest): Promise<void> => {
  const { connection, greeting, capabilities, protection, credentials, method } = request
  const { mechanisms } = capabilities
  const offer = {
    mechanisms,
    // Many a server has no USER in its list, and takes it.
    command: capabilities.has('USER') || mechanisms.size === 0,
    timestamp: timestampIn(greeting.text),
  }
  const login = chooseLogin(offer, credentials, method, protection)
  const authCodes = capabilities.has('AUTH-RESP-CODE')
  if (login === 'command') await byCommand(connection, credentials, authCodes)
  else if (login === 'apop') await byApop(connection, credentials, offer.timestamp!, authCodes)
  else await byMechanism(connection, login, authCodes)
}

/** A password's octets go as they are. */
const byCommand = async (
  connection: PopConnection,
  { user, secret }: Credentials,
  authCodes: boolean,
): Promise<void> => {
  if (secret.some((octet) => octet === 0x0d || octet === 0x0a))
    throw new BackendError('auth', 'a password with CR or LF can not be sent by PASS')
  const userReply = await connection.ask(Buffer.from(`USER ${user}`))
  if (!userReply.ok) throw refused('USER', userReply, 'login', authCodes)
  const password = Buffer.concat([Buffer.from('PASS '), secret])
  const reply = await connection.ask(password).finally(() => password.fill(0))
  if (!reply.ok) throw refused('PASS', reply, 'login', authCodes)
}

const byApop = async (
  connection: PopConnection,
  { user, secret }: Credentials,
  timestamp: string,
  authCodes: boolean,
): Promise<void> => {
  const digest = createHash('md5').update(timestamp, 'latin1').update(secret).digest('hex')
  const reply = await connection.ask(Buffer.from(`APOP ${user} ${digest}`))
  if (!reply.ok) throw refused('APOP', reply, 'login', authCodes)
}

/** An initial response that makes the line too long is asked for by the server. RFC 5034 §4 */
const byMechanism = async (connection: PopConnection, exchange: SaslExchange, authCodes: boolean): Promise<void> => {
  const command = `AUTH ${exchange.mechanism}`
  const initial = exchange.initial === undefined ? undefined : base64(exchange.initial)
  const sent = initial !== undefined && command.length + initial.length + 3 <= commandOctets
  const line = Buffer.from(sent ? `${command} ` : command)
  const whole = sent ? Buffer.concat([line, initial.length === 0 ? Buffer.from('=') : initial]) : line
  const reply = await connection.ask(whole, answersOf(exchange, sent)).finally(() => {
    whole.fill(0)
    initial?.fill(0)
    forget(exchange)
  })
  const fault = exchange.fault === undefined ? '' : ` (${exchange.fault})`
  if (!reply.ok) throw refused(command + fault, reply, 'login', authCodes)
  if (exchange.proven === false)
    throw new BackendError('protocol', `the backend accepted ${command} without proving that it knows the password`)
}

/** RFC 1939 §7: the process, clock and host of the server, as in a Message-ID. */
const timestampIn = (greeting: string): string | undefined => /<[^<>\s]+@[^<>\s]*>/.exec(greeting)?.[0]
