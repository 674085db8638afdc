/**
 * Reads ms_sync.xml: which backends serve which users (UDB-01 to UDB-13, UDB-15). Own: `starttls='required'`, `tls_verify` and
 * `backend_id='@'`. The octets become records here; `backends.ts` resolves them for a user against the global options.
 *
 * The file is used where it exists, whatever ms_sync_sasl_lookup says (C-25): directory look-ups come with the LDAP directory and
 * go first then.
 */
import { domainToASCII } from 'node:url'
import { ConfigError, type Finding, nearest } from './finding.ts'
import { quote } from './option.ts'
import { backendProtocolSynonyms } from './options/gateway.ts'
import { parseXml, type XmlElement } from './xml.ts'

export type BackendProtocol = 'pop' | 'pops' | 'imap' | 'imaps'

/** How a session with a backend logs in: by what suits best for a password or a token, or by this and nothing else. Own. */
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

/** A `user` or `backend` element: what it sets, everything else comes from the global options. */
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
}

export interface UserRecord {
  /** A user id as given at the front, or `@domain`. */
  readonly frontendId: string
  /** What the attributes of `user` itself describe: the backend that decides about logins. UDB-13 */
  readonly master: BackendRecord
  /** UDB-12 */
  readonly extra: readonly BackendRecord[]
}

const protocols: Readonly<Record<string, BackendProtocol>> = {
  pop: 'pop',
  pops: 'pops',
  imap: 'imap',
  imaps: 'imaps',
  ...backendProtocolSynonyms,
}
/** Of a later version. */
const refusedProtocols: readonly (BackendProtocol | undefined)[] = ['imap', 'imaps']
const startTls: Readonly<Record<string, BackendRecord['startTls'] & string>> = {
  true: 'offered',
  false: 'never',
  required: 'required',
}
const booleans: Readonly<Record<string, boolean>> = { true: true, false: false }
const backendAttributes = [
  'backend_id',
  'host',
  'port',
  'protocol',
  'password',
  'mailbox',
  'login_delay',
  'starttls',
  'tls_verify',
]

export interface ParsedUserDatabase {
  readonly records: readonly UserRecord[]
  /** Warnings only. */
  readonly warnings: readonly Finding[]
}

/** The records in a file's octets. Throws ConfigError with all findings when one is an error. */
export const parseUserDatabase = (octets: Buffer, file: string): ParsedUserDatabase => {
  const root = parseXml(octets, file)
  const findings: Finding[] = []
  const report: Report = (severity, line, option, message) => findings.push({ severity, file, line, option, message })
  const records: UserRecord[] = []
  const seen = new Map<string, number>()

  if (root.name !== 'xmldb')
    report('error', root.line, undefined, `the top element is <${root.name}>; it must be <xmldb>`)
  else {
    refuseText(root, report)
    for (const element of root.children) {
      if (element.name !== 'user') {
        report('error', element.line, undefined, `<${element.name}> is in <xmldb>; only <user> may be`)
        continue
      }
      const record = readUser(element, report)
      if (record === undefined) continue
      const key = foldDomain(record.frontendId)
      const first = seen.get(key)
      if (first === undefined) {
        seen.set(key, element.line)
        records.push(record)
      } else
        report(
          'error',
          element.line,
          'frontend_id',
          `${quote(record.frontendId)} has a record in line ${first} already`,
        )
    }
  }
  if (findings.some(({ severity }) => severity === 'error')) throw new ConfigError(findings)
  return { records, warnings: findings }
}

type Report = (severity: Finding['severity'], line: number, option: string | undefined, message: string) => void

/** An id for comparing: the domain without case and in its ASCII form (as canonical user ids have it), the rest as it is. */
export const foldDomain = (id: string): string => {
  const at = id.lastIndexOf('@')
  return at < 0 ? id : `${id.slice(0, at)}@${domainToASCII(id.slice(at + 1)) || id.slice(at + 1)}`
}

const readUser = (element: XmlElement, report: Report): UserRecord | undefined => {
  refuseText(element, report)
  const frontendId = element.attributes.get('frontend_id')
  const id = frontendId?.value.trim()
  if (frontendId === undefined || id === undefined || id === '' || id === '@') {
    report(
      'error',
      frontendId?.line ?? element.line,
      'frontend_id',
      'is required in <user>: a user id, or @domain for all its users',
    )
    return undefined
  }
  const master = readBackend(element, report)
  if (id.startsWith('@') && master.backendId !== undefined && !master.backendId.startsWith('@'))
    report(
      'error',
      element.attributes.get('backend_id')?.line ?? element.line,
      'backend_id',
      `${quote(master.backendId)} would be the one mailbox of all users of ${quote(id)}; valid is @domain, @ for none, or no backend_id`,
    )
  const extra = element.children.flatMap((child) => {
    refuseText(child, report)
    if (child.name !== 'backend' || child.children.length > 0) {
      report('error', child.line, undefined, `<${child.name}> is in <user>; only empty <backend> elements may be`)
      return []
    }
    if (child.attributes.has('frontend_id'))
      report(
        'error',
        child.attributes.get('frontend_id')!.line,
        'frontend_id',
        'is not allowed in <backend>; only <user> has it',
      )
    return [readBackend(child, report)]
  })
  return { frontendId: id, master, extra }
}

const readBackend = (element: XmlElement, report: Report): BackendRecord => {
  for (const [name, { line }] of element.attributes) {
    if (name === 'frontend_id' || backendAttributes.includes(name)) continue
    const near = nearest(name, backendAttributes)
    report(
      'warning',
      line,
      name,
      near === undefined
        ? `is not an attribute of <${element.name}>; it is ignored`
        : `is not an attribute of <${element.name}>; did you mean ${near}? It is ignored.`,
    )
  }
  const read = <T>(name: string, valid: string, convert: (text: string) => T | undefined): T | undefined => {
    const attribute = element.attributes.get(name)
    if (attribute === undefined) return undefined
    const value = convert(name === 'password' || name === 'mailbox' ? attribute.value : attribute.value.trim())
    if (value === undefined) {
      const shown = name === 'password' ? 'is empty' : `${quote(attribute.value)} is not valid`
      report('error', attribute.line, name, `${shown}; valid is ${valid}`)
    }
    return value
  }
  const oneOf =
    <T>(choices: Readonly<Record<string, T>>) =>
    (text: string) =>
      Object.hasOwn(choices, text.toLowerCase()) ? choices[text.toLowerCase()] : undefined
  const integer = (accept: (value: number) => boolean) => (text: string) =>
    /^-?\d{1,9}$/.test(text) && accept(Number(text)) ? Number(text) : undefined
  const nonEmpty = (text: string) => (text === '' ? undefined : text)

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
  }
  if (refusedProtocols.includes(set.protocol))
    report(
      'error',
      element.attributes.get('protocol')!.line,
      'protocol',
      `${quote(set.protocol!)} needs IMAP backends, which this version does not have yet; valid is pop or pops`,
    )
  return { line: element.line, ...withoutUndefined(set) }
}

type Defined<T> = { [K in keyof T]?: Exclude<T[K], undefined> }
const withoutUndefined = <T extends object>(object: T): Defined<T> =>
  Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined)) as Defined<T>

const refuseText = (element: XmlElement, report: Report) => {
  if (element.text.trim() !== '')
    report('error', element.line, undefined, `<${element.name}> holds text; everything is written in attributes`)
}
