/** Which backends serve a user: the records of ms_sync.xml over the global options. UDB-02 to UDB-15 */
import { stat } from 'node:fs/promises'
import type { Config } from './config.ts'
import { ConfigError, type Finding } from './finding.ts'
import {
  type BackendProtocol,
  type BackendRecord,
  foldDomain,
  type ParsedUserDatabase,
  parseUserDatabase,
  type UserRecord,
} from './ms-sync.ts'
import { parseInThread } from './ms-sync-thread.ts'
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
}

export interface UserBackends {
  /** Decides about the login. GW-26 */
  readonly master: Backend
  readonly extra: readonly Backend[]
}

/** GW-15 */
export const usualPorts: Readonly<Record<BackendProtocol, number>> = { pop: 110, pops: 995, imap: 143, imaps: 993 }

/** Users and the files for them are some megabytes at most. */
const maxOctets = 32 * 1024 * 1024
/** Parsed in the caller's thread within some 30 ms. */
const maxOctetsAtOnce = 128 * 1024

export interface UserDatabase {
  /** The file that was read; undefined when there is none. */
  readonly file: string | undefined
  readonly records: readonly UserRecord[]
  /**
   * The backends of a user. `user` is the id as the client sent it, `userId` the canonical one. An exact record goes before one for
   * the domain. Undefined when neither a record nor ms_syncd_host names a host.
   */
  find(user: string, userId: string, config: Config): UserBackends | undefined
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
        {
          severity: 'error',
          file: config.file,
          line: config.lineOf('ms_sync_userdb'),
          option: 'ms_sync_userdb',
          message: `${file} can't be read: ${(cause as Error).message}; make the file readable, or name another`,
        },
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
  if (errors.length > 0) throw new ConfigError([...errors, ...warnings])
  const hasPasswords = parsed.records.some(({ master, extra }) =>
    [master, ...extra].some(({ password }) => password !== undefined),
  )
  if (hasPasswords && ((await stat(file)).mode & 0o004) !== 0)
    warnings.push({
      severity: 'warning',
      file,
      line: undefined,
      option: undefined,
      message: 'has passwords and is readable by everybody; chmod o-r',
    })
  return { database: makeUserDatabase(file, parsed.records), warnings }
}

/** A gateway that can't let anybody in, or mail that comes from nowhere. */
const withoutBackend = (config: Config, records: readonly UserRecord[]): readonly Finding[] =>
  (config.get('gateway_mode') || config.get('sync_mode')) &&
  config.get('ms_syncd_host') === undefined &&
  records.length === 0
    ? [
        {
          severity: 'warning',
          file: config.file,
          line: undefined,
          option: 'ms_syncd_host',
          message: config.get('gateway_mode')
            ? 'is not set, and there are no records of users either, so nobody can log in; set it to the host of the backend'
            : 'is not set, and there are no records of users either, so there is no mail to fetch; set it to the host of the backend',
        },
      ]
    : []

/** A database of records that were read from `file`, or made otherwise. */
export const makeUserDatabase = (file: string | undefined, records: readonly UserRecord[]): UserDatabase => {
  const byId = new Map(records.map((record) => [foldDomain(record.frontendId), record]))
  return {
    file,
    records,
    find: (user, userId, config) => {
      const domain = userId.slice(userId.lastIndexOf('@'))
      const record = byId.get(foldDomain(user)) ?? byId.get(userId) ?? byId.get(domain)
      const master = resolveBackend(record?.master, user, config)
      if (master === undefined) return undefined
      const extra = (record?.extra ?? []).map((backend) => resolveBackend(backend, user, config))
      return { master, extra: extra.filter((backend) => backend !== undefined) }
    },
  }
}

/** `id`: as the client sent it, which is the id at the backend too unless the record says otherwise. UDB-03, UDB-15 */
const resolveBackend = (record: BackendRecord | undefined, id: string, config: Config): Backend | undefined => {
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
    startTls:
      record?.startTls ??
      (config.get('suppress_client_tls') ? 'never' : config.get('require_client_tls') ? 'required' : 'offered'),
    tlsVerify: record?.tlsVerify ?? config.get('backend_tls_verify'),
  }
}

/** UDB-04: a backend_id of the form @domain exchanges the domain of the user's id; a mere @ takes it away, which is our own. */
const backendUser = (backendId: string | undefined, id: string): string => {
  if (backendId === undefined) return id
  if (!backendId.startsWith('@')) return backendId
  const at = id.lastIndexOf('@')
  return (at < 0 ? id : id.slice(0, at)) + (backendId === '@' ? '' : backendId)
}
