/**
 * From an address to a session that may be used: greeting, CAPABILITY, STARTTLS, login, ID, and a look at INBOX, because an OK to the login
 * alone proves nothing (some servers give it to anybody). What protects the password: docs/decisions/0081-stls-and-downgrade.md.
 */
import type { Log } from '#src/base/log.ts'
import { BackendError } from '../errors.ts'
import type { Address, TlsTrust } from '../pop3/connection.ts'
import type { BackendProfile } from '../profile.ts'
import { classifyRefusal } from '../reply-classifier.ts'
import { Bearer, type Credentials, cramMd5, plain, type SaslExchange, Scram, login as saslLogin } from '../sasl.ts'
import { defaultLimits, type Limits } from '../types.ts'
import { ImapConnection, type Status } from './connection.ts'
import type { Part } from './response-reader.ts'

export interface ImapRequest extends Address {
  /** 'offered' goes on in clear where there is none, unless the host had it before. */
  readonly startTls: 'never' | 'offered' | 'required'
  /** Whether the certificate has to verify: of implicit TLS, and of 'required'. */
  readonly tlsVerify: boolean
  readonly credentials: Credentials
  /** The secret is an OAuth access token. */
  readonly oauth?: boolean
  readonly profile: BackendProfile
  readonly log: Log
  readonly trust?: TlsTrust
  readonly limits?: Limits
  readonly signal?: AbortSignal
}

/** Authenticated, no mailbox selected. */
export interface ImapLogin {
  readonly connection: ImapConnection
  /** Upper case, as after the login. */
  readonly capabilities: ReadonlySet<string>
  readonly protection: 'tls' | 'unverified' | 'none'
}

/** Throws BackendError. One refused login is one attempt: nothing here tries a password twice. */
export const openImap = async (request: ImapRequest): Promise<ImapLogin> => {
  const { credentials, profile } = request
  if (/[\r\n\0]/.test(credentials.user) || /[\r\n\0]/.test(credentials.authzid ?? ''))
    throw new BackendError('auth', 'a user name with CR, LF or NUL can not be sent in IMAP')
  if (credentials.secret.includes(0)) throw new BackendError('auth', 'a password with NUL can not be sent in IMAP')
  const ready = await protect(request, request.limits ?? defaultLimits)
  const { connection, protection } = ready
  try {
    const capabilities = ready.preauthenticated ? ready.capabilities : await authenticate(ready, request)
    connection.literalPlus = capabilities.has('LITERAL+')
    if (capabilities.has('ID')) await introduce(connection)
    await prove(connection)
    if (protection !== 'none' && profile.learned.protection !== 'tls') profile.learned.protection = protection
    return { connection, capabilities, protection }
  } catch (error) {
    connection.close()
    throw error
  }
}

interface Ready extends ImapLogin {
  readonly preauthenticated: boolean
}

const protect = async (request: ImapRequest, limits: Limits): Promise<Ready> => {
  let startTls = !request.implicitTls && request.startTls !== 'never'
  for (let attempt = 0; ; attempt++) {
    const trust = { ...request.trust, rejectUnauthorized: request.tlsVerify }
    const { connection, greeting } = await ImapConnection.open(request, limits, trust, request.signal)
    try {
      const preauthenticated = greeting.condition === 'PREAUTH'
      const capabilities = capabilitiesIn(greeting) ?? (await askCapabilities(connection))
      if (request.implicitTls) {
        const protection = request.tlsVerify ? 'tls' : 'unverified'
        return { connection, capabilities, protection, preauthenticated }
      }
      // Nobody logged in, and TLS is not possible any more: somebody wants us to go on in clear. RFC 9051 §11.1
      if (preauthenticated && mustProtect(request))
        throw new BackendError('tls', `the backend is past the login without TLS (PREAUTH): ${hint(request)}`)
      const protection = startTls && !preauthenticated ? await upgrade(request, connection, capabilities) : undefined
      if (protection === undefined) return { connection, capabilities, protection: 'none', preauthenticated }
      // What was said in clear does not count. RFC 9051 §6.2.1
      return { connection, capabilities: await askCapabilities(connection), protection, preauthenticated }
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
  request: ImapRequest,
  connection: ImapConnection,
  capabilities: ReadonlySet<string>,
): Promise<'tls' | 'unverified' | undefined> => {
  const without = (why: string): undefined => {
    if (mustProtect(request))
      throw new BackendError('tls', `the backend ${why}, and a login without TLS is not allowed: ${hint(request)}`)
  }
  if (!capabilities.has('STARTTLS')) return without('does not offer STARTTLS')
  const reply = await connection.run({ words: ['STARTTLS'] })
  if (reply.condition !== 'OK') return without('refused STARTTLS')
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
const mustProtect = (request: ImapRequest): boolean =>
  request.startTls === 'required' || request.profile.learned.protection !== undefined

const hint = (request: ImapRequest): string =>
  request.startTls === 'required'
    ? 'TLS is required for this backend'
    : "this backend had TLS before; set starttls='false' if it was switched off on purpose"

/** Answers the capabilities behind the login. */
const authenticate = async (ready: Ready, request: ImapRequest): Promise<ReadonlySet<string>> => {
  const { connection, capabilities } = ready
  const exchange = exchangeFor(ready, request)
  let seen: ReadonlySet<string> | undefined
  const untagged = (parts: readonly Part[]) => {
    seen = capabilitiesOf(parts) ?? seen
  }
  const { user, secret } = request.credentials
  const reply =
    exchange === undefined
      ? await connection.run({ words: ['LOGIN ', ...word(Buffer.from(user)), ' ', ...word(secret)], untagged })
      : await runExchange(connection, exchange, capabilities.has('SASL-IR'), untagged)
  if (reply.condition !== 'OK') throw refused('the login', reply, exchange?.fault)
  if (exchange instanceof Scram && !exchange.proven) {
    // RFC 5802 §3: the server's signature may come with the OK in other protocols; in IMAP it is a challenge before it.
    throw new BackendError('protocol', 'the backend accepted a SCRAM login without proving that it knows the password')
  }
  return capabilitiesIn(reply) ?? seen ?? (await askCapabilities(connection))
}

/** Undefined: the LOGIN command. Throws BackendError tls where the password would have to go in clear and the server forbids it. */
const exchangeFor = (
  { capabilities, protection }: Ready,
  { credentials, oauth }: ImapRequest,
): SaslExchange | undefined => {
  const offers = (mechanism: string) => capabilities.has(`AUTH=${mechanism}`)
  if (oauth === true) return new Bearer(offers('OAUTHBEARER') ? 'OAUTHBEARER' : 'XOAUTH2', credentials)
  // In clear nobody on the way learns the password from these. Under TLS servers take the plain ones most reliably.
  if (protection === 'none') {
    if (offers('SCRAM-SHA-256')) return new Scram('sha256', credentials)
    if (offers('SCRAM-SHA-1')) return new Scram('sha1', credentials)
    if (offers('CRAM-MD5') && credentials.authzid === undefined) return cramMd5(credentials)
  }
  if (credentials.authzid !== undefined || offers('PLAIN')) return plain(credentials)
  if (!capabilities.has('LOGINDISABLED')) return undefined
  if (offers('SCRAM-SHA-256')) return new Scram('sha256', credentials)
  if (offers('SCRAM-SHA-1')) return new Scram('sha1', credentials)
  if (offers('CRAM-MD5')) return cramMd5(credentials)
  if (offers('LOGIN')) return saslLogin(credentials)
  throw new BackendError(
    protection === 'none' ? 'tls' : 'unsupported',
    protection === 'none'
      ? 'the backend takes no login without TLS (LOGINDISABLED)'
      : 'the backend offers no login that takes a password',
  )
}

const runExchange = (
  connection: ImapConnection,
  exchange: SaslExchange,
  initialResponse: boolean,
  untagged: (parts: readonly Part[]) => void,
): Promise<Status> => {
  let first = initialResponse && exchange.initial !== undefined
  const words: (string | Buffer)[] = [`AUTHENTICATE ${exchange.mechanism}`]
  // RFC 4959 §3: "=" stands for an empty one.
  if (first) words[0] += ` ${exchange.initial!.length === 0 ? '=' : exchange.initial!.toString('base64')}`
  const respond = (challenge: Buffer) => {
    if (!first && exchange.initial !== undefined) {
      first = true
      return Buffer.from(exchange.initial)
    }
    return exchange.respond(challenge)
  }
  return connection.run({ words, respond, untagged })
}

/** A quoted string where the octets allow one, else a literal. RFC 9051 §4.3 */
const word = (octets: Buffer): (string | Buffer)[] =>
  octets.every((octet) => octet >= 0x20 && octet < 0x7f)
    ? [`"${octets.toString('latin1').replace(/["\\]/g, '\\$&')}"`]
    : [Buffer.from(octets)]

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
