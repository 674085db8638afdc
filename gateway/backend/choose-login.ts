/**
 * How a session proves who it is: one rule for POP3 and IMAP, by what the server offers and what protects the connection.
 * docs/decisions/0190-one-rule-for-logins.md
 */
import type { LoginMethod } from '#src/config/backend-record.ts'
import { BackendError } from './errors.ts'
import { Bearer, type Credentials, cramMd5, login, plain, type SaslExchange, Scram } from './sasl.ts'

/** What protects a connection: 'unverified' is TLS with a certificate that proves nothing. */
export type Protection = 'tls' | 'unverified' | 'none'

/** What a server lets clients log in with. */
export interface Offer {
  /** Names of SASL mechanisms, upper case. */
  readonly mechanisms: ReadonlySet<string>
  /** USER and PASS, or LOGIN. */
  readonly command: boolean
  /** `<…@…>` of a POP3 greeting. RFC 1939 §7 */
  readonly timestamp?: string | undefined
}

export type Login = SaslExchange | 'command' | 'apop'

type OneMethod = Exclude<LoginMethod, 'password' | 'oauth'>

/** Nobody on the way learns the password from these, nor does a server that only pretends to be the right one. */
const scram = ['scram-sha-256', 'scram-sha-1'] as const
/** Somebody on the way can try passwords at home against what was said: better than to read one, worse than all else. */
const digests = ['cram-md5', 'apop'] as const
/** In the order in which servers get them right. */
const inTheOpen = ['plain', 'command'] as const

const order: Readonly<Record<Protection, readonly OneMethod[]>> = {
  tls: [...inTheOpen, ...scram, ...digests, 'login'],
  unverified: [...scram, ...inTheOpen, ...digests, 'login'],
  none: [...scram, ...digests, ...inTheOpen, 'login'],
}
const bearers = ['oauthbearer', 'xoauth2'] as const

/** Those that can say for whom a master user logs in. RFC 4422 §2 */
const withAuthzid: readonly OneMethod[] = ['plain', ...scram, ...bearers]

const isBearer = (method: OneMethod): boolean => bearers.some((bearer) => bearer === method)

/**
 * `method`: 'password' and 'oauth' leave the choice to the rule, everything else is the operator's own choice and is not judged, but
 * for tokens: they never go in clear (RFC 6750 §5.3). Throws BackendError tls or unsupported.
 */
export const chooseLogin = (
  offer: Offer,
  credentials: Credentials,
  method: LoginMethod,
  protection: Protection,
): Login => {
  const candidates: readonly OneMethod[] =
    method === 'password' ? order[protection] : method === 'oauth' ? bearers : [method]
  if (protection === 'none' && candidates.some(isBearer))
    throw new BackendError('tls', 'an OAuth token is not sent without TLS')
  const able = candidates.filter((one) => credentials.authzid === undefined || withAuthzid.includes(one))
  const chosen = able.find((one) => isOffered(offer, one))
  if (chosen !== undefined) return begin(chosen, credentials)
  const offered = [...offer.mechanisms].join(', ') || 'no mechanism'
  if (method === 'password' && protection === 'none')
    throw new BackendError('tls', `the backend takes no password without TLS (it offers ${offered})`)
  const wanted = able.map((one) => one.toUpperCase()).join(' or ')
  throw new BackendError('unsupported', `the backend does not offer a login by ${wanted} (it offers ${offered})`)
}

const isOffered = ({ mechanisms, command, timestamp }: Offer, method: OneMethod): boolean =>
  method === 'command' ? command : method === 'apop' ? timestamp !== undefined : mechanisms.has(method.toUpperCase())

const begin = (method: OneMethod, credentials: Credentials): Login => {
  switch (method) {
    case 'command':
    case 'apop':
      return method
    case 'plain':
      return plain(credentials)
    case 'login':
      return login(credentials)
    case 'cram-md5':
      return cramMd5(credentials)
    case 'scram-sha-1':
      return new Scram('sha1', credentials)
    case 'scram-sha-256':
      return new Scram('sha256', credentials)
    case 'oauthbearer':
      return new Bearer('OAUTHBEARER', credentials)
    case 'xoauth2':
      return new Bearer('XOAUTH2', credentials)
  }
}

/** What no login may carry, whatever the mechanism. Throws BackendError auth. */
export const checkCredentials = ({ user, authzid = '', secret }: Credentials): void => {
  if (/[\r\n\0]/.test(user + authzid)) throw new BackendError('auth', 'a user name with CR, LF or NUL can not be sent')
  if (secret.includes(0)) throw new BackendError('auth', 'a password with NUL can not be sent')
}
