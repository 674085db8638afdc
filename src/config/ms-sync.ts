/**
 * Reads ms_sync.xml: which backends serve which users (UDB-01 to UDB-13, UDB-15), and who gives tokens for them (own). The
 * octets become records here; `backends.ts` resolves them for a user against the global options.
 *
 * The file is used where it exists, whatever ms_sync_sasl_lookup says (C-25): what the user's entry in the directory names goes before it.
 */
import { domainToASCII } from 'node:url'
import { type Report, refuseText } from './attributes.ts'
import { type BackendRecord, readBackend } from './backend-record.ts'
import { ConfigError, type Finding } from './finding.ts'
import { type OAuthProviderRecord, readProvider } from './oauth-provider.ts'
import { quote } from './option.ts'
import { parseXml, type XmlElement } from './xml.ts'

export interface UserRecord {
  /** A user id as given at the front, or `@domain`. */
  readonly frontendId: string
  /** What the attributes of `user` itself describe: the backend that decides about logins. UDB-13 */
  readonly master: BackendRecord
  /** UDB-12 */
  readonly extra: readonly BackendRecord[]
}

export interface ParsedUserDatabase {
  readonly records: readonly UserRecord[]
  readonly providers: readonly OAuthProviderRecord[]
  /** Warnings only. */
  readonly warnings: readonly Finding[]
}

/** The records in a file's octets. Throws ConfigError with all findings when one is an error. */
export const parseUserDatabase = (octets: Buffer, file: string): ParsedUserDatabase => {
  const root = parseXml(octets, file)
  const findings: Finding[] = []
  const report: Report = (severity, line, option, message) => findings.push({ severity, file, line, option, message })
  const records: UserRecord[] = []
  const providers = new Map<string, OAuthProviderRecord>()
  const seen = new Map<string, number>()

  if (root.name !== 'xmldb')
    report('error', root.line, undefined, `the top element is <${root.name}>; it must be <xmldb>`)
  else {
    refuseText(root, report)
    for (const element of root.children) {
      if (element.name === 'oauth_provider') {
        const provider = readProvider(element, report)
        if (provider === undefined) continue
        const twin = providers.get(provider.name)
        if (twin === undefined) providers.set(provider.name, provider)
        else report('error', element.line, 'name', `${quote(provider.name)} is in line ${twin.line} already`)
        continue
      }
      if (element.name !== 'user') {
        report(
          'error',
          element.line,
          undefined,
          `<${element.name}> is in <xmldb>; only <user> and <oauth_provider> may be`,
        )
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
  for (const { master, extra } of records)
    for (const { oauthProvider, line } of [master, ...extra])
      if (oauthProvider !== undefined && !providers.has(oauthProvider))
        report(
          'error',
          line,
          'oauth_provider',
          `${quote(oauthProvider)} is no <oauth_provider> of this file; ${providerNames(providers)}`,
        )
  if (findings.some(({ severity }) => severity === 'error')) throw new ConfigError(findings)
  return { records, providers: [...providers.values()], warnings: findings }
}

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

const providerNames = (providers: ReadonlyMap<string, unknown>): string =>
  providers.size === 0 ? 'there is none: add one' : `valid is one of ${[...providers.keys()].join(', ')}`
