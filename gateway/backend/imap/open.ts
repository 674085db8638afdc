/**
 * From an address to a session that may be used: greeting, CAPABILITY, STARTTLS, login, ID, and a look at INBOX, because an OK to the login
 * alone proves nothing (some servers give it to anybody). What protects the password: docs/decisions/0081-stls-and-downgrade.md.
 */
import type { LoginMethod } from '#src/config/backend-record.ts'
import { checkCredentials, chooseLogin, type Protection } from '../choose-login.ts'
import { BackendError } from '../errors.ts'
import type { Address } from '../pop3/connection.ts'
import {
  goOnInClear,
  mustProtect,
  mustVerify,
  noteProtection,
  type ProtectionRequest,
  rememberProtection,
} from '../protection.ts'
import { classifyRefusal } from '../reply-classifier.ts'
import { answersOf, base64, type Credentials, forget, type SaslExchange } from '../sasl.ts'
import { defaultLimits, type Limits } from '../types.ts'
import { ImapConnection, type Status, type Word } from './connection.ts'
import type { Part } from './response-reader.ts'

export interface ImapRequest extends Address, ProtectionRequest {
  readonly credentials: Credentials
  /** Default: password. */
  readonly method?: LoginMethod
  readonly limits?: Limits
  readonly signal?: AbortSignal
}

/** Authenticated, no mailbox selected. */
export interface ImapLogin {
  readonly connection: ImapConnection
  /** Upper case, as after the login. */
  readonly capabilities: ReadonlySet<string>
  readonly protection: Protection
}

/** Throws BackendError. One refused login is one attempt: nothing here tries a password twice. */
export const openImap = async (request: ImapRequest): Promise<ImapLogin> => {
  checkCredentials(request.credentials)
  const ready = await protect(request, request.limits ?? defaultLimits)
  const { connection, protection } = ready
  noteProtection(request, connection)
  try {
    const capabilities = await authenticate(ready, request)
    connection.literalPlus = capabilities.has('LITERAL+')
    if (capabilities.has('ID')) await introduce(connection)
    await prove(connection)
    rememberProtection(request, protection)
    return { connection, capabilities, protection }
  } catch (error) {
    connection.close()
    throw error
  }
}

/** Greeted and protected, nobody logged in. */
const protect = async (request: ImapRequest, limits: Limits): Promise<ImapLogin> => {
  let startTls = !request.implicitTls && request.startTls !== 'never'
  for (let attempt = 0; ; attempt++) {
    const { trust, tlsVerify, signal } = request
    const { connection, greeting } = await ImapConnection.open(request, limits, trust, tlsVerify, signal)
    try {
      if (greeting.condition === 'PREAUTH') refusePreauth(request)
      const capabilities = capabilitiesIn(greeting) ?? (await askCapabilities(connection))
      if (request.implicitTls) return { connection, capabilities, protection: connection.protection }
      const protection = startTls ? await upgrade(request, connection, capabilities) : undefined
      if (protection === undefined) return { connection, capabilities, protection: 'none' }
      // What was said in clear does not count. RFC 9051 §6.2.1
      return { connection, capabilities: await askCapabilities(connection), protection }
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

/** No password was asked for, so none is proven, and whose mailboxes these are only the server knows. RFC 9051 §7.1.4, §11.1 */
const refusePreauth = (request: ImapRequest): never => {
  if (!request.implicitTls) goOnInClear(request, 'is past the login (PREAUTH)')
  throw new BackendError(
    'permanent',
    'the backend lets anybody in without a login (PREAUTH), so it can not tell whether a password is right: make it ask for one',
  )
}

/** Undefined where it goes on in clear: not offered, or refused, and the policy lets it. */
const upgrade = async (
  request: ImapRequest,
  connection: ImapConnection,
  capabilities: ReadonlySet<string>,
): Promise<Protection | undefined> => {
  if (!capabilities.has('STARTTLS')) return goOnInClear(request, 'does not offer STARTTLS')
  const reply = await connection.run({ words: ['STARTTLS'], lastInClear: true })
  if (reply.condition !== 'OK') return goOnInClear(request, 'refused STARTTLS')
  return connection.upgrade(mustVerify(request))
}

/** Answers the capabilities behind the login. */
const authenticate = async (
  ready: ImapLogin,
  { credentials, method = 'password' }: ImapRequest,
): Promise<ReadonlySet<string>> => {
  const { connection, capabilities, protection } = ready
  const mechanisms = new Set([...capabilities].flatMap((name) => (name.startsWith('AUTH=') ? [name.slice(5)] : [])))
  const offer = { mechanisms, command: !capabilities.has('LOGINDISABLED') }
  const login = chooseLogin(offer, credentials, method, protection)
  if (login === 'apop') throw new BackendError('unsupported', 'there is no APOP in IMAP')
  let seen: ReadonlySet<string> | undefined
  const untagged = (parts: readonly Part[]) => {
    seen = capabilitiesOf(parts) ?? seen
  }
  const reply =
    login === 'command'
      ? await byCommand(connection, credentials, untagged)
      : await runExchange(connection, login, capabilities.has('SASL-IR'), untagged)
  const { fault, proven } = login === 'command' ? {} : login
  if (reply.condition !== 'OK') throw refused('the login', reply, fault)
  // RFC 5802 §3: the server's signature may come with the OK in other protocols; in IMAP it is a challenge before it.
  if (proven === false)
    throw new BackendError('protocol', 'the backend accepted a SCRAM login without proving that it knows the password')
  return capabilitiesIn(reply) ?? seen ?? (await askCapabilities(connection))
}

const byCommand = (
  connection: ImapConnection,
  { user, secret }: Credentials,
  untagged: (parts: readonly Part[]) => void,
): Promise<Status> => {
  const password = word(secret)
  return connection
    .run({ words: ['LOGIN ', word(Buffer.from(user)), ' ', password], untagged })
    .finally(() => octetsOf(password).fill(0))
}

const runExchange = (
  connection: ImapConnection,
  exchange: SaslExchange,
  initialResponse: boolean,
  untagged: (parts: readonly Part[]) => void,
): Promise<Status> => {
  const words: Word[] = [`AUTHENTICATE ${exchange.mechanism}`]
  const sent = initialResponse && exchange.initial !== undefined
  // RFC 4959 §3: "=" stands for an empty one.
  if (sent) words.push(' ', exchange.initial!.length === 0 ? '=' : { inline: base64(exchange.initial!) })
  return connection.run({ words, respond: answersOf(exchange, sent), untagged }).finally(() => forget(exchange))
}

/** A quoted string where the octets allow one, else a literal. RFC 9051 §4.3 */
const word = (octets: Buffer): { readonly inline: Buffer } | Buffer =>
  octets.every((octet) => octet >= 0x20 && octet < 0x7f) ? { inline: quoted(octets) } : Buffer.from(octets)

const octetsOf = (part: { readonly inline: Buffer } | Buffer): Buffer => ('inline' in part ? part.inline : part)

const quoted = (octets: Buffer): Buffer => {
  const text = Buffer.alloc(octets.length * 2 + 2)
  let to = 0
  text[to++] = 0x22
  for (const octet of octets) {
    if (octet === 0x22 || octet === 0x5c) text[to++] = 0x5c
    text[to++] = octet
  }
  text[to++] = 0x22
  return text.subarray(0, to)
}

/** RFC 2971. Some providers refuse SELECT to whoever doesn't say what they are. */
const introduce = async (connection: ImapConnection): Promise<void> => {
  await connection.run({ words: ['ID ("name" "Wherry")'] })
}

/** INBOX can be looked at. EXAMINE changes nothing, and CLOSE behind it removes nothing. RFC 9051 §6.3.3, §6.4.1 */
const prove = async (connection: ImapConnection): Promise<void> => {
  const reply = await connection.run({ words: ['EXAMINE INBOX'] })
  if (reply.condition === 'OK') {
    await connection.run({ words: ['CLOSE'] })
    return
  }
  const { kind, ...refusal } = describe(reply, 'transaction')
  // Exchange lets anybody in whose password it knows, and then has no mailbox for them.
  const notConnected = /not connected/i.test(reply.text)
  throw new BackendError(notConnected ? 'auth' : kind, 'the backend accepted the login, but shows no INBOX', refusal)
}

const askCapabilities = async (connection: ImapConnection): Promise<ReadonlySet<string>> => {
  let capabilities: ReadonlySet<string> = new Set()
  const reply = await connection.run({
    words: ['CAPABILITY'],
    untagged: (parts) => {
      capabilities = capabilitiesOf(parts) ?? capabilities
    },
  })
  return reply.condition === 'OK' ? capabilities : new Set()
}

const capabilitiesOf = ([line]: readonly Part[]): ReadonlySet<string> | undefined =>
  typeof line === 'string' && /^CAPABILITY(?: |$)/i.test(line) ? new Set(words(line.slice(11))) : undefined

const capabilitiesIn = ({ code, codeText }: Status): ReadonlySet<string> | undefined =>
  code === 'CAPABILITY' ? new Set(words(codeText)) : undefined

const words = (text: string): string[] =>
  text
    .toUpperCase()
    .split(' ')
    .filter((name) => name !== '')

const refused = (what: string, reply: Status, fault: string | undefined): BackendError => {
  const { kind, ...refusal } = describe(reply, 'login')
  return new BackendError(kind, `the backend refused ${what}${fault === undefined ? '' : ` (${fault})`}`, refusal)
}

const describe = (reply: Status, stage: 'login' | 'transaction') => {
  const code = reply.code === undefined ? '' : `[${reply.code}] `
  const { kind, text, retryAfterMs } = classifyRefusal(code + reply.text, stage, reply.condition === 'BAD')
  return { kind, serverText: text, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) }
}
