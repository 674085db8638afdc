/**
 * A private OpenLDAP server on a free loopback port, with the schema of etc/. Its configuration (cn=config) and its database lie in one temporary
 * directory that `stop` removes.
 *
 *     await using slapd = await startSlapd({ entries: [userEntry('anna@a.example', 'secret')] })
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { makeCertificate } from './certificate.ts'
import { freePorts } from './free-port.ts'
import { answers } from './listening.ts'

export const base = 'o=myisp'
export const users = `ou=users,${base}`
/** May read and write everything but the configuration, and act for users (RFC 4370). */
export const service = { dn: `cn=wherry,${base}`, password: 'service secret' }
/** LDAP-13 */
export const userClasses =
  'top person organizationalPerson inetOrgPerson inetUser mboxUser cmuSaslUser inetLocalMailRecipient'.split(' ')

export interface SlapdOptions {
  /** LDIF entries behind the base, `users` and the service's own. */
  readonly entries?: readonly string[]
  /** In the place of the base, `users` and the service's own. */
  readonly foundation?: readonly string[]
  /** STARTTLS and ldaps, with a self-signed certificate for 'localhost' and 127.0.0.1. */
  readonly tls?: boolean
  /** With `tls`: refuses clients without a certificate; its own is one. */
  readonly mutual?: boolean
  /** LDIF lines of the database in cn=config. */
  readonly database?: readonly string[]
  /** The same of cn=config itself. */
  readonly global?: readonly string[]
}

export interface Slapd extends AsyncDisposable {
  readonly url: string
  /** Also at 127.0.0.2, which the certificate does not name. */
  readonly secureUrl: string
  /** Of the Unix socket. */
  readonly socketUrl: string
  /** Of the server. */
  readonly pid: number | undefined
  readonly certificateFile: string
  readonly keyFile: string
  /** Ends the server; what it has stays. */
  halt(): Promise<void>
  /** Starts it again. */
  resume(): Promise<void>
  /** Sends a signal: SIGSTOP makes it hang. */
  signal(signal: NodeJS.Signals): void
  /** Runs ldapmodify, or ldapadd, over what is given. */
  modify(ldif: string): void
  /** LDIF of one entry, operational attributes left out; without base64 of what is text. */
  read(dn: string): string
  stop(): Promise<void>
}

export const userEntry = (userId: string, password: string | undefined, ...lines: readonly string[]): string => {
  const [local = '', domain = ''] = userId.split('@')
  const dc = domain.split('.').map((label) => `dc=${label}`)
  return [
    `dn: cn=${local},${dc.join(',')},${users}`,
    ...userClasses.map((name) => `objectClass: ${name}`),
    `cn: ${local}`,
    'sn: Smith',
    `uid: ${userId}`,
    ...(password === undefined ? [] : [`userPassword: ${password}`]),
    ...lines,
  ].join('\n')
}

/** Entries of a domain below `users`, the highest first. */
export const domainEntriesOf = (domain: string): string[] => {
  const labels = domain.split('.')
  return labels
    .map((dc, index) => {
      const dn = labels.slice(index).map((label) => `dc=${label}`)
      return `dn: ${dn.join(',')},${users}\nobjectClass: top\nobjectClass: domain\ndc: ${dc}`
    })
    .reverse()
}

const environment = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin`, LDAPNOINIT: '1' }
const schema = resolve(import.meta.dirname, '../../etc/openldap-schema.ldif')

export async function startSlapd(options: SlapdOptions = {}): Promise<Slapd> {
  const dir = await mkdtemp(join(tmpdir(), 'slapd-'))
  await Promise.all(['config', 'database'].map((name) => mkdir(join(dir, name))))
  const certificateFile = join(dir, 'certificate.pem')
  const keyFile = join(dir, 'key.pem')
  if (options.tls) makeCertificate(certificateFile, keyFile)
  const [port, securePort] = await freePorts(5)
  const socket = join(dir, 'ldapi')
  const [url, secureUrl] = [`ldap://127.0.0.1:${port}`, `ldaps://127.0.0.1:${securePort}`]
  const socketUrl = `ldapi://${encodeURIComponent(socket)}`

  await writeFile(join(dir, 'config.ldif'), configuration(dir, options))
  await writeFile(
    join(dir, 'entries.ldif'),
    `${[...(options.foundation ?? foundation), ...(options.entries ?? [])].join('\n\n')}\n`,
  )
  const load = (database: string, file: string) =>
    execFileSync('slapadd', ['-q', '-n', database, '-F', join(dir, 'config'), '-l', join(dir, file)], {
      env: environment,
      stdio: ['ignore', 'ignore', 'pipe'],
    })
  load('0', 'config.ldif')
  load('1', 'entries.ldif')

  let server: ChildProcess
  const resume = async () => {
    const urls = [
      url,
      ...(options.tls ? [secureUrl, secureUrl.replace('127.0.0.1', '127.0.0.2')] : []),
      socketUrl,
    ].join(' ')
    server = spawn('slapd', ['-d', '0', '-F', join(dir, 'config'), '-h', urls], { env: environment, stdio: 'ignore' })
    await answers(port!, server)
  }
  const halt = async () => {
    if (server.exitCode !== null || server.signalCode !== null) return
    const exited = once(server, 'exit')
    server.kill('SIGKILL')
    await exited
  }
  const stop = async () => {
    await halt()
    await rm(dir, { recursive: true, force: true })
  }
  await resume()
  const asService = ['-x', '-H', url, '-D', service.dn, '-w', service.password]
  return {
    url,
    secureUrl,
    socketUrl,
    get pid() {
      return server.pid
    },
    certificateFile,
    keyFile,
    halt,
    resume,
    signal: (signal) => void server.kill(signal),
    modify: (ldif) =>
      void execFileSync('ldapmodify', asService, { env: environment, input: ldif, stdio: ['pipe', 'ignore', 'pipe'] }),
    read: (dn) =>
      execFileSync('ldapsearch', [...asService, '-LLL', '-o', 'ldif-wrap=no', '-s', 'base', '-b', dn], {
        env: environment,
        encoding: 'utf8',
      }).replace(/^(userPassword):: (.*)$/gm, (_, name, value) => `${name}: ${Buffer.from(value, 'base64')}`),
    stop,
    [Symbol.asyncDispose]: stop,
  }
}

const foundation = [
  `dn: ${base}\nobjectClass: organization\no: myisp`,
  `dn: ${users}\nobjectClass: organizationalUnit\nou: users`,
  `dn: ${service.dn}\nobjectClass: organizationalRole\nobjectClass: simpleSecurityObject\ncn: wherry\nuserPassword: ${service.password}\nauthzTo: ldap:///${users}??sub?(objectClass=mboxUser)`,
]

const configuration = (dir: string, { tls, mutual, database = [], global = [] }: SlapdOptions): string =>
  [
    [
      'dn: cn=config',
      'objectClass: olcGlobal',
      'cn: config',
      `olcPidFile: ${dir}/slapd.pid`,
      'olcAuthzPolicy: to',
      `olcAuthzRegexp: {0}"uid=([^,@]+@[^,]+),cn=[^,]*auth" "ldap:///${users}??sub?(uid=$1)"`,
      // The service, by its name, and whoever reaches the Unix socket.
      `olcAuthzRegexp: {1}"uid=wherry,.*cn=auth" "${service.dn}"`,
      `olcAuthzRegexp: {2}"gidNumber=[0-9]+[+]uidNumber=[0-9]+,cn=peercred,cn=external,cn=auth" "${service.dn}"`,
      'olcSaslSecProps: none',
      ...(tls ? [`olcTLSCertificateFile: ${dir}/certificate.pem`, `olcTLSCertificateKeyFile: ${dir}/key.pem`] : []),
      ...(mutual ? ['olcTLSVerifyClient: demand', `olcTLSCACertificateFile: ${dir}/certificate.pem`] : []),
      ...global,
    ],
    ['dn: cn=module,cn=config', 'objectClass: olcModuleList', 'cn: module', 'olcModuleLoad: back_mdb'],
    ['dn: cn=schema,cn=config', 'objectClass: olcSchemaConfig', 'cn: schema'],
    ['core', 'cosine', 'inetorgperson', 'misc'].map((name) => `include: file:///etc/ldap/schema/${name}.ldif\n`),
    [`include: file://${schema}`],
    [
      'dn: olcDatabase=mdb,cn=config',
      'objectClass: olcDatabaseConfig',
      'objectClass: olcMdbConfig',
      'olcDatabase: mdb',
      `olcDbDirectory: ${dir}/database`,
      `olcSuffix: ${base}`,
      'olcDbMaxSize: 1073741824',
      'olcDbNoSync: TRUE',
      'olcDbIndex: objectClass,uid eq',
      `olcAccess: to attrs=userPassword by dn.exact=${service.dn} write by anonymous auth by * none`,
      `olcAccess: to * by dn.exact=${service.dn} write by users read by * auth`,
      `olcLimits: dn.exact=${service.dn} size=unlimited`,
      ...database,
    ],
  ]
    .map((lines) => `${lines.join('\n')}\n`)
    .join('\n')
