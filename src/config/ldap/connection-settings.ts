/** How a directory is reached and who asks it, for users and for the configuration. AUTH-10, LDAP-02, LDAP-10 */
import { OptionFault } from '../certificate-files.ts'
import type { Config } from '../config.ts'
import { cipherListIn } from '../configured-ciphers.ts'
import type { OptionName } from '../options.ts'

export interface DirectoryServer {
  readonly url: string
  readonly host: string
  readonly port: number
  /** Of the Unix socket, for ldapi. */
  readonly path: string | undefined
  /** ldaps: TLS from the first octet. */
  readonly secure: boolean
}

/** SASL mechanisms that prove a password. */
const passwordMechanisms = ['DIGEST-MD5', 'CRAM-MD5', 'PLAIN'] as const
type PasswordMechanism = (typeof passwordMechanisms)[number]

/** How Wherry itself logs in to the directory. */
export type DirectoryBind =
  | { readonly method: 'SIMPLE'; readonly dn: string; readonly password: string }
  | {
      readonly [M in PasswordMechanism]: { readonly method: M; readonly id: string; readonly password: string }
    }[PasswordMechanism]
  | { readonly method: 'EXTERNAL'; readonly id: string | undefined }

/** Plain values: equal JSON is the same directory. */
export interface DirectoryConnection {
  /** In the order they are tried. LDAP-06 */
  readonly servers: readonly DirectoryServer[]
  readonly bind: DirectoryBind
  readonly tls: {
    readonly start: boolean
    /** Whether certificates are checked: of ldaps servers, and after STARTTLS. TLS-08 */
    readonly verify: boolean
    readonly verifyStarted: boolean
    readonly ciphers: string
    readonly caFile: string | undefined
    readonly certFile: string | undefined
    readonly keyFile: string | undefined
    readonly keyPassword: string
  }
  readonly timeoutMs: number
  readonly retries: number
  readonly retryPauseMs: number
}

/** What both directories have in common. */
export const connectionParts = (
  config: Config,
): Pick<DirectoryConnection, 'tls' | 'timeoutMs' | 'retries' | 'retryPauseMs'> => {
  const startTls = config.get('ldapdb_starttls')
  const verify = !['never', 'allow'].includes(config.get('ldapdb_tls_server_cert'))
  return {
    tls: {
      start: startTls !== 'never',
      verify,
      verifyStarted: ['yes', 'true', '1'].includes(startTls) ? verify : startTls !== 'allow',
      ciphers: cipherListIn(config, config.isSet('sasl/tls_cipher_list') ? 'sasl/tls_cipher_list' : 'tls_cipher_list'),
      caFile: config.get('ldapdb_ca_cert'),
      certFile: config.get('ldapdb_client_cert'),
      keyFile: config.get('ldapdb_client_key'),
      keyPassword: config.get('ldapdb_client_key_passwd'),
    },
    timeoutMs: config.get('ldapdb_timeout') * 1000,
    retries: Math.max(1, config.get('ldap_connect_retries')),
    retryPauseMs: config.get('ldap_connect_retry_pause') * 1000,
  }
}

/** Whether passwords can be read on the way to one of the servers. AUTH-15 */
export const isExposed = ({ servers, tls }: Pick<DirectoryConnection, 'servers' | 'tls'>): boolean =>
  !tls.start && servers.some(({ secure, path, host }) => !secure && path === undefined && !isLoopback(host))

const isLoopback = (host: string) => host === 'localhost' || host === '::1' || host.startsWith('127.')

/** LDAP-02: the URLs of config_location, else ldap_server and ldap_port; none where neither says something. Throws OptionFault. */
export const configurationServers = (config: Config): readonly DirectoryServer[] => {
  const location = config.get('config_location')
  if (!isKeyword(location)) return location.map((url) => parseServer('config_location', url))
  const host = config.get('ldap_server')
  if (host === undefined || host === '') return []
  const port = config.get('ldap_port')
  return [{ url: `ldap://${host}:${port}`, host, port, path: undefined, secure: false }]
}

/** `local` and `ldap:` stand alone. */
export const isKeyword = (location: readonly string[]): boolean =>
  location.length === 0 || (location.length === 1 && ['local', 'ldap:'].includes(location[0]!.toLowerCase()))

const ports: Readonly<Record<string, number>> = { 'ldap:': 389, 'ldaps:': 636, 'ldapi:': 0 }

/** RFC 4516 §2 without anything behind the host; ldapi has the path of the socket as host. Throws OptionFault. */
export const parseServer = (option: OptionName, text: string): DirectoryServer => {
  const url = URL.parse(text)
  const fault = () =>
    new OptionFault(
      option,
      `${JSON.stringify(text.slice(0, 100))} is not one of ldap://host:port, ldaps://host:port and ldapi://%2Fpath`,
    )
  if (url === null) throw fault()
  const usual = ports[url.protocol]
  if (usual === undefined || url.username !== '' || url.search !== '' || !['', '/'].includes(url.pathname))
    throw fault()
  if (url.protocol === 'ldapi:') {
    const path = decodeURIComponent(url.hostname || '%2Fvar%2Frun%2Fslapd%2Fldapi')
    if (!path.startsWith('/')) throw fault()
    return { url: text, host: '', port: 0, path, secure: false }
  }
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1')
  if (host === '') throw fault()
  const port = url.port === '' ? usual : Number(url.port)
  return { url: text, host, port, path: undefined, secure: url.protocol === 'ldaps:' }
}

/** The options that say it, for what is wrong. */
export interface BindOptions {
  readonly dn: OptionName
  readonly id: OptionName
  readonly password: OptionName
  readonly method: OptionName
}

/** Throws OptionFault. */
export const bindOf = (
  given: {
    readonly dn: string | undefined
    readonly id: string | undefined
    readonly password: string | undefined
    readonly method: string
    /** AUTH-13 */
    readonly approvedOnly: boolean
  },
  options: BindOptions,
): DirectoryBind => {
  const { dn, id, password } = given
  const method = given.method.toUpperCase()
  if (method === 'EXTERNAL') return { method, id }
  const mechanism = passwordMechanisms.find((name) => name === method)
  if (method !== 'SIMPLE' && mechanism === undefined)
    throw new OptionFault(
      options.method,
      `${method} can't be used towards a directory; set it to SIMPLE, ${passwordMechanisms.join(', ')} or EXTERNAL`,
    )
  if (given.approvedOnly && /MD5$/.test(method))
    throw new OptionFault(options.method, `is ${method}, which fips140_mode excludes; set it to SIMPLE or EXTERNAL`)
  // RFC 4513 §5.1.2: a name without a password would be let in as nobody.
  if (password === undefined || password === '')
    throw new OptionFault(options.password, `is not set, and ${method} needs a password`)
  if (mechanism === undefined) {
    if (!dn) throw new OptionFault(options.dn, 'is not set, and SIMPLE binds with it')
    return { method: 'SIMPLE', dn, password }
  }
  if (!id) throw new OptionFault(options.id, `is not set, and ${mechanism} binds with it`)
  return { method: mechanism, id, password }
}
