/**
 * What a `user` or `backend` element of ms_sync.xml says of a backend. Own: `starttls='required'`, `backend_id='@'`, and everything from
 * `tls_verify` on.
 */
import { attributesOf, booleans, integer, nonEmpty, oneOf, type Report, withoutUndefined } from './attributes.ts'
import { quote } from './option.ts'
import { backendProtocolSynonyms } from './options/gateway.ts'
import type { XmlElement } from './xml.ts'

export type BackendProtocol = 'pop' | 'pops' | 'imap' | 'imaps'

/** How a session logs in: by what suits best for a password or a token, or by this and nothing else. */
export const loginMethods = [
  'password',
  'oauth',
  'command',
  'apop',
  'plain',
  'login',
  'cram-md5',
  'scram-sha-1',
  'scram-sha-256',
  'oauthbearer',
  'xoauth2',
] as const
export type LoginMethod = (typeof loginMethods)[number]

/** The secret of these is a token. */
export const isTokenMethod = (method: LoginMethod): boolean =>
  method === 'oauth' || method === 'oauthbearer' || method === 'xoauth2'

/** What an element sets; everything else comes from the global options. */
export interface BackendRecord {
  /** Of the element in the file. */
  readonly line: number
  readonly backendId?: string
  readonly host?: string
  /** 0 never occurs: it means unset. */
  readonly port?: number
  readonly protocol?: BackendProtocol
  readonly password?: string
  readonly mailbox?: string
  /** Seconds; -1 is no polling. */
  readonly loginDelay?: number
  readonly startTls?: 'never' | 'offered' | 'required'
  readonly tlsVerify?: boolean
  /** SHA-256 of certificates or public keys, hexadecimal, lower case. */
  readonly tlsFingerprints?: readonly string[]
  /** As written: relative to the file. */
  readonly tlsCaFile?: string
  readonly tlsLegacy?: boolean
  readonly auth?: LoginMethod
  /** Of ManageSieve at the same host. */
  readonly sievePort?: number
  /** Name of an `oauth_provider`. */
  readonly oauthProvider?: string
  readonly masterUser?: string
  readonly masterPassword?: string
  /** Between user and master in the name of a login; unset: the user is the authzid of a SASL login. */
  readonly masterSeparator?: string
}

const protocols: Readonly<Record<string, BackendProtocol>> = {
  pop: 'pop',
  pops: 'pops',
  imap: 'imap',
  imaps: 'imaps',
  ...backendProtocolSynonyms,
}
const startTls: Readonly<Record<string, BackendRecord['startTls'] & string>> = {
  true: 'offered',
  false: 'never',
  required: 'required',
}
const methods = Object.fromEntries(loginMethods.map((method) => [method, method]))

/** All but frontend_id, which only `user` has. */
export const backendAttributes = [
  'backend_id',
  'host',
  'port',
  'protocol',
  'password',
  'mailbox',
  'login_delay',
  'starttls',
  'tls_verify',
  'tls_fingerprint',
  'tls_ca_file',
  'tls_legacy',
  'auth',
  'oauth_provider',
  'master_user',
  'master_password',
  'master_separator',
  'sieve_port',
] as const

export const readBackend = (element: XmlElement, report: Report): BackendRecord => {
  const read = attributesOf(element, ['frontend_id', ...backendAttributes], report)
  const set = {
    backendId: read('backend_id', 'a user id, @domain, or @ for none', nonEmpty),
    host: read('host', 'a host name or an IP address', (text) =>
      text === '' || /[\s/]/.test(text) ? undefined : text,
    ),
    port:
      read(
        'port',
        'a whole number from 0 to 65535',
        integer((value) => value >= 0 && value <= 65535),
      ) || undefined,
    protocol: read('protocol', `one of ${Object.keys(protocols).join(', ')}`, oneOf(protocols)),
    password: read('password', 'a password', nonEmpty),
    mailbox: read('mailbox', 'a mailbox name', (text) => text),
    loginDelay: read(
      'login_delay',
      'a whole number of 1 or more (seconds), or -1 for no polling',
      integer((value) => value >= 1 || value === -1),
    ),
    startTls: read('starttls', 'true, false or required', oneOf(startTls)),
    tlsVerify: read('tls_verify', 'true or false', oneOf(booleans)),
    tlsFingerprints: read(
      'tls_fingerprint',
      'the SHA-256 of a certificate or of its public key, 64 hexadecimal digits with or without colons; several with blanks between',
      fingerprints,
    ),
    tlsCaFile: read('tls_ca_file', 'the name of a PEM file', nonEmpty),
    tlsLegacy: read('tls_legacy', 'true or false', oneOf(booleans)),
    auth: read('auth', `one of ${loginMethods.join(', ')}`, oneOf(methods)),
    oauthProvider: read('oauth_provider', 'the name of an <oauth_provider>', nonEmpty),
    masterUser: read('master_user', 'the name of a master user at the backend', nonEmpty),
    masterPassword: read('master_password', 'a password', nonEmpty),
    masterSeparator: read('master_separator', 'what stands between user and master, as *', nonEmpty),
    sievePort: read(
      'sieve_port',
      'a whole number from 1 to 65535',
      integer((value) => value >= 1 && value <= 65535),
    ),
  }
  const record: BackendRecord = { line: element.line, ...withoutUndefined(set) }
  checkRelations(record, (name, message) =>
    report('error', element.attributes.get(name)?.line ?? element.line, name, message),
  )
  return record
}

/** What has to hold between attributes that are valid for themselves. */
const checkRelations = (record: BackendRecord, error: (name: string, message: string) => void): void => {
  const { protocol, auth, oauthProvider, masterUser, masterPassword, masterSeparator, startTls, tlsVerify } = record
  const token = auth !== undefined && isTokenMethod(auth)
  if (token && oauthProvider === undefined)
    error('auth', `${quote(auth)} needs oauth_provider, the name of an <oauth_provider>`)
  if (oauthProvider !== undefined && !token)
    error('oauth_provider', "has a meaning with auth='oauth' only; set that, or remove oauth_provider")
  if (token && startTls !== undefined && startTls !== 'required')
    error('starttls', "must be 'required', or left out, where tokens are sent: they never go in clear")
  if (token && masterUser !== undefined) error('master_user', 'and tokens exclude each other; remove one of them')
  if (auth === 'apop' && (protocol === 'imap' || protocol === 'imaps'))
    error('auth', "'apop' is of POP3; valid for IMAP is every other method")
  if ((masterUser === undefined) !== (masterPassword === undefined))
    error(
      masterUser === undefined ? 'master_password' : 'master_user',
      'has a meaning only together with the other one; set both, master_user and master_password',
    )
  if (masterSeparator !== undefined && masterUser === undefined)
    error('master_separator', 'has a meaning with master_user only')
  const cannotSay = ['command', 'apop', 'login', 'cram-md5']
  if (masterUser !== undefined && masterSeparator === undefined && cannotSay.includes(auth ?? ''))
    error('auth', `${quote(auth!)} can't say for whom a master user logs in; valid is plain, or set master_separator`)
  if (record.tlsFingerprints !== undefined && tlsVerify === false)
    error('tls_verify', 'is false, and tls_fingerprint names the certificate all the same; remove one of them')
  const aboutTls = record.tlsFingerprints ?? record.tlsCaFile ?? record.tlsLegacy
  if (startTls === 'never' && aboutTls !== undefined && (protocol === 'pop' || protocol === 'imap'))
    error(
      'starttls',
      "is 'false', and tls_fingerprint, tls_ca_file or tls_legacy have no effect then; remove one of them",
    )
}

const fingerprints = (text: string): readonly string[] | undefined => {
  const all = text
    .split(/[\s,]+/)
    .filter((word) => word !== '')
    .map((word) =>
      word
        .replace(/^sha256:/i, '')
        .replaceAll(':', '')
        .toLowerCase(),
    )
  return all.length > 0 && all.every((word) => /^[0-9a-f]{64}$/.test(word)) ? all : undefined
}
