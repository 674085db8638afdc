/**
 * The user directory (LDAP) as the options say: where it is, who asks it, how user ids and entries belong together. AUTH-07, AUTH-10, LDAP-11
 * docs/decisions/0075-users-in-a-directory.md
 */
import { OptionFault } from './certificate-files.ts'
import type { Config } from './config.ts'

export interface DirectoryServer {
  readonly url: string
  readonly host: string
  readonly port: number
  /** Of the Unix socket, for ldapi. */
  readonly path: string | undefined
  /** ldaps: TLS from the first octet. */
  readonly secure: boolean
}

/** How Wherry itself logs in to the directory. */
export type DirectoryBind =
  | { readonly method: 'SIMPLE'; readonly dn: string; readonly password: string }
  | { readonly method: 'PLAIN'; readonly id: string; readonly password: string }
  | { readonly method: 'EXTERNAL'; readonly id: string | undefined }

/** Plain values: equal JSON is the same directory. */
export interface DirectorySettings {
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
  readonly mapMethod: 'proxyauth' | 'emulate' | 'fallback'
  /** Base of the search for users; undefined: below `mappingSuffix` where the domain leads. */
  readonly searchSuffix: string | undefined
  /** Below it a domain is dc components. */
  readonly mappingSuffix: string | undefined
  readonly usernameAttribute: string
  /** Of names in the directory that have none. */
  readonly defaultDomain: string | undefined
  readonly userFilter: string
  readonly userClasses: readonly string[]
  readonly domainClasses: readonly string[]
  /** Whether `list` leaves out entries without password and state. */
  readonly checkAttributes: boolean
  /** How a password is checked: by a bind as the user, or against what userPassword has. AUTH-06, AUTH-08 */
  readonly passwords: 'bind' | 'clear' | 'hashed'
  /** AUTH-16 */
  readonly cache: { readonly directory: string; readonly days: number; readonly askedFirst: boolean } | undefined
}

const sources = ['ldapdb', 'userdb_lookup', 'userdb_cache']

const pluginsOf = (config: Config) => (config.get('auxprop_plugin') ?? []).map((name) => name.toLowerCase())
export const usesDirectory = (config: Config): boolean => pluginsOf(config).includes('ldapdb')

/** Whether passwords are there in clear, to be compared, and for mechanisms that need them. AUTH-04, AUTH-06 */
export const readsClearPasswords = (config: Config): boolean =>
  usesDirectory(config) && !config.get('use_hashed_passwords') && config.get('pwcheck_method') === 'auxprop'

/** Undefined when users are not in a directory. Throws OptionFault. */
export const directoryOf = (config: Config): DirectorySettings | undefined => {
  const plugins = pluginsOf(config)
  const unknown = plugins.find((name) => !sources.includes(name))
  if (unknown !== undefined)
    throw new OptionFault('auxprop_plugin', `${JSON.stringify(unknown)} is not known; there are ${sources.join(', ')}`)
  if (!usesDirectory(config)) {
    if (plugins.length > 0)
      throw new OptionFault('auxprop_plugin', `${plugins[0]} is of use around ldapdb only; add it`)
    if (config.get('use_hashed_passwords'))
      throw new OptionFault('use_hashed_passwords', 'binds to a directory; set auxprop_plugin to ldapdb and ldapdb_uri')
    return undefined
  }
  const [searchSuffix, mappingSuffix] = [config.get('saslSearchSuffix'), config.get('saslDCMappingSuffix')]
  const mapMethod = config.get('ldapdb_map_method')
  if (mapMethod !== 'proxyauth' && !searchSuffix && !mappingSuffix)
    throw new OptionFault('saslSearchSuffix', 'is not set: set it to the DN below which the users are')
  const startTls = config.get('ldapdb_starttls')
  const verify = !['never', 'allow'].includes(config.get('ldapdb_tls_server_cert'))
  return {
    servers: serversOf(config),
    bind: bindOf(config),
    tls: {
      start: startTls !== 'never',
      verify,
      verifyStarted: ['yes', 'true', '1'].includes(startTls) ? verify : startTls !== 'allow',
      ciphers: config.isSet('sasl/tls_cipher_list')
        ? config.get('sasl/tls_cipher_list')
        : config.get('tls_cipher_list'),
      caFile: config.get('ldapdb_ca_cert'),
      certFile: config.get('ldapdb_client_cert'),
      keyFile: config.get('ldapdb_client_key'),
      keyPassword: config.get('ldapdb_client_key_passwd'),
    },
    timeoutMs: config.get('ldapdb_timeout') * 1000,
    retries: Math.max(1, config.get('ldap_connect_retries')),
    retryPauseMs: config.get('ldap_connect_retry_pause') * 1000,
    mapMethod,
    searchSuffix: searchSuffix || undefined,
    mappingSuffix: mappingSuffix || undefined,
    usernameAttribute: config.get('saslUsernameAttribute'),
    defaultDomain: config.get('saslDefaultDomain')?.toLowerCase(),
    userFilter: config.get('ldapdb_user_filter'),
    userClasses: config.get('ldapdb_user_ocs'),
    domainClasses: config.get('ldapdb_domain_ocs'),
    checkAttributes: config.get('ldapdb_user_check_attrs'),
    passwords: config.get('use_hashed_passwords')
      ? 'bind'
      : config.get('pwcheck_method') === 'auxprop-hashed'
        ? 'hashed'
        : 'clear',
    cache: plugins.some((name) => name !== 'ldapdb')
      ? {
          directory: config.get('userdb_cache_dir'),
          days: config.get('userdb_cache_days'),
          askedFirst: plugins.includes('userdb_lookup') && plugins.indexOf('userdb_lookup') < plugins.indexOf('ldapdb'),
        }
      : undefined,
  }
}

/** Whether passwords can be read on the way to one of the servers. AUTH-15 */
export const isExposed = ({ servers, tls }: DirectorySettings): boolean =>
  !tls.start && servers.some(({ secure, path, host }) => !secure && path === undefined && !isLoopback(host))

const isLoopback = (host: string) => host === 'localhost' || host === '::1' || host.startsWith('127.')

/** AUTH-10: ldapdb_uri, else ldap_server and ldap_port. Throws OptionFault. */
const serversOf = (config: Config): readonly DirectoryServer[] => {
  const uris = config.get('ldapdb_uri')
  if (uris !== undefined && uris.length > 0) return uris.map(parseServer)
  const host = config.get('ldap_server')
  if (host === undefined || host === '')
    throw new OptionFault('ldapdb_uri', 'is not set: set it to the LDAP server, for example ldaps://ldap.example.net')
  const port = config.get('ldap_port')
  return [{ url: `ldap://${host}:${port}`, host, port, path: undefined, secure: false }]
}

const ports: Readonly<Record<string, number>> = { 'ldap:': 389, 'ldaps:': 636, 'ldapi:': 0 }

/** RFC 4516 §2 without anything behind the host; ldapi has the path of the socket as host. Throws OptionFault. */
const parseServer = (text: string): DirectoryServer => {
  const url = URL.parse(text)
  const fault = () =>
    new OptionFault(
      'ldapdb_uri',
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

/** AUTH-10: the ldap_bind_* options count where neither ldapdb_dn nor ldapdb_id is set. Throws OptionFault. */
const bindOf = (config: Config): DirectoryBind => {
  const own = config.isSet('ldapdb_dn') || config.isSet('ldapdb_id')
  const dn = own ? config.get('ldapdb_dn') : config.get('ldap_bind_dn')
  const id = own ? config.get('ldapdb_id') : config.get('ldap_bind_id')
  const password = config.get('ldapdb_pw') ?? (own ? undefined : config.get('ldap_bind_pwd'))
  const method = (config.get('ldapdb_mech') ?? config.get('ldap_bind_method')).toUpperCase()
  if (method === 'EXTERNAL') return { method, id }
  if (method !== 'SIMPLE' && method !== 'PLAIN')
    throw new OptionFault(
      'ldapdb_mech',
      `${method} can't be used towards a directory; set it to SIMPLE, PLAIN or EXTERNAL`,
    )
  // RFC 4513 §5.1.2: a name without a password would be let in as nobody.
  if (password === undefined || password === '')
    throw new OptionFault('ldapdb_pw', `is not set, and ${method} needs a password`)
  if (method === 'SIMPLE') {
    if (!dn) throw new OptionFault('ldapdb_dn', 'is not set, and SIMPLE binds with it')
    return { method, dn, password }
  }
  if (!id) throw new OptionFault('ldapdb_id', 'is not set, and PLAIN binds with it')
  return { method, id, password }
}
