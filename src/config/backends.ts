/** Which backends serve a user: the records of ms_sync.xml over the global options. UDB-02 to UDB-15 */
import { stat } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { withoutUndefined } from './attributes.ts'
import { type BackendProtocol, type BackendRecord, isTokenMethod, type LoginMethod } from './backend-record.ts'
import { type Config, findingAt } from './config.ts'
import { ConfigError, type Finding } from './finding.ts'
import { foldDomain, type ParsedUserDatabase, parseUserDatabase, type UserRecord } from './ms-sync.ts'
import { parseInThread } from './ms-sync-thread.ts'
import type { OAuthProviderRecord } from './oauth-provider.ts'
import { readLimited } from './read-file.ts'

/** A backend of one user, with every choice made. */
export interface Backend {
  readonly protocol: BackendProtocol
  readonly host: string
  readonly port: number
  /** The user id there. */
  readonly user: string
  /** From the record; undefined: the password of the login (which only the master has to be given). */
  readonly password: string | undefined
  /** Mailbox here for a POP3 backend, prefix of the mailbox names for an IMAP backend. UDB-09 */
  readonly mailbox: string
  /** Time between two synchronisations; -1: none but at login and on request. A longer LOGIN-DELAY of the backend wins (GW-18). */
  readonly intervalSeconds: number
  /** Towards pop and imap; `offered`: used when the backend has it, going on unprotected when it fails (GW-16). */
  readonly startTls: 'never' | 'offered' | 'required'
  /** Whether the certificate has to verify: of pops, imaps, and `required` STARTTLS. */
  readonly tlsVerify: boolean
  /** The certificates that it may have, whoever signed them; undefined: any that verifies. `BackendRecord.tlsFingerprints` */
  readonly tlsFingerprints?: readonly string[] | undefined
  /** The only authorities that count for it, PEM; undefined: those of the option tls_ca_file and of Node. */
  readonly tlsCa?: string | undefined
  /** Protocol versions, ciphers and keys that are too weak are taken. */
  readonly tlsLegacy?: boolean
  /** Default: password. */
  readonly auth?: LoginMethod
  /** Of ManageSieve at the same host; undefined: migration_sieve_port. */
  readonly sievePort?: number
  /** How a session logs in that no user proves with a password. docs/decisions/0191-who-a-session-is.md */
  readonly service?: BackendService | undefined
}

export type BackendService =
  | {
      readonly type: 'master'
      readonly user: string
      readonly password: string
      /** Between user and master in the name of the login; undefined: the user is the authzid. */
      readonly separator: string | undefined
    }
  | { readonly type: 'token'; readonly provider: OAuthProviderRecord }

export interface UserBackends {
  /** Decides about the login. GW-26 */
  readonly master: Backend
  readonly extra: readonly Backend[]
}

/** GW-15 */
export const usualPorts: Readonly<Record<BackendProtocol, number>> = { pop: 110, pops: 995, imap: 143, imaps: 993 }

/** Users and the files for them are some megabytes at most. */
const maxOctets = 32 * 1024 * 1024
/** Some authorities of one backend. */
const maxAuthorityOctets = 1024 * 1024
/** Parsed in the caller's thread within some 30 ms. */
const maxOctetsAtOnce = 128 * 1024

export interface UserDatabase {
  /** The file that was read; undefined when there is none. */
  readonly file: string | undefined
  readonly records: readonly UserRecord[]
  /**
   * The backends of a user. `user` is the id as the client sent it, `userId` the canonical one. An exact record goes before one for
   * the domain, and `own`, of the user's entry in the directory, before both. Undefined when neither a record nor ms_syncd_host names a host.
   */
  find(user: string, userId: string, config: Config, own?: UserRecord): UserBackends | undefined
}

/**
 * Reads the file that ms_sync_userdb names; without a file at the default place there are no records.
 * Throws ConfigError: a running service keeps the database that it has.
 */
export const loadUserDatabase = async (
  config: Config,
): Promise<{ readonly database: UserDatabase; readonly warnings: readonly Finding[] }> => {
  const file = config.get('ms_sync_userdb')
  let parsed: ParsedUserDatabase
  try {
    const octets = await readLimited(file, maxOctets)
    parsed = octets.length > maxOctetsAtOnce ? await parseInThread(octets, file) : parseUserDatabase(octets, file)
  } catch (cause) {
    if (cause instanceof ConfigError) throw cause
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT' && !config.isSet('ms_sync_userdb'))
      return { database: makeUserDatabase(undefined, []), warnings: withoutBackend(config, []) }
    throw new ConfigError(
      [
        findingAt(
          config,
          'error',
          'ms_sync_userdb',
          `${file} can't be read: ${(cause as Error).message}; make the file readable, or name another`,
        ),
      ],
      { cause },
    )
  }
  const warnings = [...parsed.warnings, ...withoutBackend(config, parsed.records)]
  const errors: Finding[] = []
  for (const record of parsed.records)
    for (const { host, line } of [record.master, ...record.extra])
      if (host === undefined && config.get('ms_syncd_host') === undefined)
        errors.push({
          severity: 'error',
          file,
          line,
          option: 'host',
          message: 'is missing, and ms_syncd_host is not set either; set one of them',
        })
  // Two that keep the same mailboxes in step would give each what the other has.
  for (const { master, extra } of parsed.records) {
    const prefixes = new Set<string>()
    for (const { protocol = config.get('ms_syncd_protocol'), mailbox = '', line } of [master, ...extra]) {
      if (protocol !== 'imap' && protocol !== 'imaps') continue
      if (prefixes.has(mailbox))
        errors.push({
          severity: 'error',
          file,
          line,
          option: 'mailbox',
          message: `'${mailbox}' is what the names of another IMAP backend of this user begin with too; give one of them its own beginning, like 'Work/'`,
        })
      prefixes.add(mailbox)
    }
  }
  // GW-12: a login is proven by the password at the main backend, and a token proves nothing about who sent the password.
  const provesLogins = config.get('gateway_mode') && !config.get('sync_mode')
  if (provesLogins || config.get('auto_migrate'))
    for (const { master } of parsed.records)
      if (isTokenMethod(master.auth ?? 'password'))
        errors.push({
          severity: 'error',
          file,
          line: master.line,
          option: 'auth',
          message: `${master.auth} can't prove a login: with ${provesLogins ? 'gateway_mode' : 'auto_migrate'} the main backend has to take the user's password; valid is a method for passwords, or sync_mode with an account here, or the same in a <backend>`,
        })
  if (errors.length > 0) throw new ConfigError([...errors, ...warnings])
  const backends = parsed.records.flatMap(({ master, extra }) => [master, ...extra])
  const hasSecrets =
    backends.some(({ password, masterPassword }) => password !== undefined || masterPassword !== undefined) ||
    parsed.providers.some(({ clientSecret }) => clientSecret !== undefined)
  if (hasSecrets && ((await stat(file)).mode & 0o004) !== 0)
    warnings.push({
      severity: 'warning',
      file,
      line: undefined,
      option: undefined,
      message: 'has passwords and is readable by everybody; chmod o-r',
    })
  const authorities = await readAuthorities(backends, file)
  return { database: makeUserDatabase(file, parsed.records, parsed.providers, authorities), warnings }
}

/** By the name in the record. Throws ConfigError. */
const readAuthorities = async (
  records: readonly BackendRecord[],
  file: string,
): Promise<ReadonlyMap<string, string>> => {
  const authorities = new Map<string, string>()
  const errors: Finding[] = []
  for (const { tlsCaFile, line } of records) {
    if (tlsCaFile === undefined || authorities.has(tlsCaFile)) continue
    const wrong = (message: string) =>
      errors.push({ severity: 'error', file, line, option: 'tls_ca_file', message: `${tlsCaFile} ${message}` })
    try {
      const pem = (await readLimited(resolve(dirname(file), tlsCaFile), maxAuthorityOctets)).toString('latin1')
      if (!pem.includes('-----BEGIN CERTIFICATE-----')) wrong('has no certificate in PEM form')
      authorities.set(tlsCaFile, pem)
    } catch (error) {
      wrong(`can't be read: ${(error as Error).message}`)
    }
  }
  if (errors.length > 0) throw new ConfigError(errors)
  return authorities
}

/** A gateway that can't let anybody in, or mail that comes from nowhere. */
const withoutBackend = (config: Config, records: readonly UserRecord[]): readonly Finding[] =>
  (config.get('gateway_mode') || config.get('auto_migrate') || config.get('sync_mode')) &&
  config.get('ms_syncd_host') === undefined &&
  records.length === 0
    ? [
        {
          severity: 'warning',
          file: config.file,
          line: undefined,
          option: 'ms_syncd_host',
          message:
            config.get('gateway_mode') || config.get('auto_migrate')
              ? 'is not set, and there are no records of users either, so nobody can log in; set it to the host of the backend'
              : 'is not set, and there are no records of users either, so there is no mail to fetch; set it to the host of the backend',
        },
      ]
    : []

/** A database of records that were read from `file`, or made otherwise. `authorities`: PEM by the name that records give it. */
export const makeUserDatabase = (
  file: string | undefined,
  records: readonly UserRecord[],
  providers: readonly OAuthProviderRecord[] = [],
  authorities: ReadonlyMap<string, string> = new Map(),
): UserDatabase => {
  const known = { providers: new Map(providers.map((provider) => [provider.name, provider])), authorities }
  const byId = new Map(records.map((record) => [foldDomain(record.frontendId), record]))
  return {
    file,
    records,
    find: (user, userId, config, own) => {
      const domain = userId.slice(userId.lastIndexOf('@'))
      const record = own ?? byId.get(foldDomain(user)) ?? byId.get(userId) ?? byId.get(domain)
      const master = resolveBackend(record?.master, user, config, known)
      if (master === undefined) return undefined
      const extra = (record?.extra ?? []).map((backend) => resolveBackend(backend, user, config, known))
      return { master, extra: extra.filter((backend) => backend !== undefined) }
    },
  }
}

/** `id`: as the client sent it, which is the id at the backend too unless the record says otherwise. UDB-03, UDB-15 */
const resolveBackend = (
  record: BackendRecord | undefined,
  id: string,
  config: Config,
  known: Known,
): Backend | undefined => {
  const host = record?.host ?? config.get('ms_syncd_host')
  if (host === undefined) return undefined
  const protocol = record?.protocol ?? config.get('ms_syncd_protocol')
  return {
    protocol,
    host,
    // UDB-06
    port: record?.port ?? (config.get('ms_syncd_port') || usualPorts[protocol]),
    user: backendUser(record?.backendId, id),
    password: record?.password,
    mailbox: record?.mailbox ?? (protocol === 'pop' || protocol === 'pops' ? 'INBOX' : ''),
    intervalSeconds: record?.loginDelay ?? config.get('ms_sync_interval'),
    startTls: record?.startTls ?? (needsTls(record) ? 'required' : usualStartTls(config)),
    tlsVerify: record?.tlsVerify ?? config.get('backend_tls_verify'),
    ...withoutUndefined({
      tlsFingerprints: record?.tlsFingerprints,
      tlsCa: record?.tlsCaFile === undefined ? undefined : known.authorities.get(record.tlsCaFile),
      tlsLegacy: record?.tlsLegacy,
      auth: record?.auth,
      sievePort: record?.sievePort,
      service: record === undefined ? undefined : serviceOf(record, known),
    }),
  }
}

interface Known {
  readonly providers: ReadonlyMap<string, OAuthProviderRecord>
  readonly authorities: ReadonlyMap<string, string>
}

const serviceOf = (record: BackendRecord, { providers }: Known): BackendService | undefined => {
  const { masterUser, masterPassword, masterSeparator, oauthProvider = '' } = record
  if (masterUser !== undefined && masterPassword !== undefined)
    return { type: 'master', user: masterUser, password: masterPassword, separator: masterSeparator }
  const provider = providers.get(oauthProvider)
  return provider === undefined ? undefined : { type: 'token', provider }
}

/** A master's password opens every mailbox, a token is as good as a password, and a pin that may be left out pins nothing. */
const needsTls = (record: BackendRecord | undefined): boolean =>
  record?.masterUser !== undefined || record?.oauthProvider !== undefined || record?.tlsFingerprints !== undefined

const usualStartTls = (config: Config): Backend['startTls'] =>
  config.get('suppress_client_tls') ? 'never' : config.get('require_client_tls') ? 'required' : 'offered'

/** UDB-04: a backend_id of the form @domain exchanges the domain of the user's id; a mere @ takes it away, which is our own. */
const backendUser = (backendId: string | undefined, id: string): string => {
  if (backendId === undefined) return id
  if (!backendId.startsWith('@')) return backendId
  const at = id.lastIndexOf('@')
  return (at < 0 ? id : id.slice(0, at)) + (backendId === '@' ? '' : backendId)
}
