/**
 * The user directory (LDAP) as the options say: where it is, who asks it, how user ids and entries belong together. AUTH-07, AUTH-10, LDAP-11
 * docs/decisions/0075-users-in-a-directory.md
 */
import { OptionFault } from './certificate-files.ts'
import type { Config } from './config.ts'
import {
  bindOf,
  configurationServers,
  connectionParts,
  type DirectoryBind,
  type DirectoryConnection,
  type DirectoryServer,
  parseServer,
} from './ldap/connection-settings.ts'

/** Plain values: equal JSON is the same directory. */
export interface DirectorySettings extends DirectoryConnection {
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
  readonly containerClasses: readonly string[]
  /** How entries of domains are found; undefined: their place follows from their name. */
  readonly domains: { readonly attribute: string; readonly filter: string } | undefined
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
  return {
    servers: serversOf(config),
    bind: userBindOf(config),
    ...connectionParts(config),
    mapMethod,
    searchSuffix: searchSuffix || undefined,
    mappingSuffix: mappingSuffix || undefined,
    usernameAttribute: config.get('saslUsernameAttribute'),
    defaultDomain: config.get('saslDefaultDomain')?.toLowerCase(),
    userFilter: config.get('ldapdb_user_filter'),
    userClasses: config.get('ldapdb_user_ocs'),
    domainClasses: config.get('ldapdb_domain_ocs'),
    containerClasses: config.get('ldapdb_container_ocs'),
    domains: domainsOf(config),
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

const domainsOf = (config: Config): DirectorySettings['domains'] => {
  const attribute = config.get('saslDomainAttribute')
  return attribute ? { attribute, filter: config.get('ldapdb_domain_filter') } : undefined
}

/** AUTH-10: ldapdb_uri, else where the configuration is, else ldap_server and ldap_port. Throws OptionFault. */
const serversOf = (config: Config): readonly DirectoryServer[] => {
  const uris = config.get('ldapdb_uri')
  if (uris !== undefined && uris.length > 0) return uris.map((uri) => parseServer('ldapdb_uri', uri))
  const servers = configurationServers(config)
  if (servers.length === 0)
    throw new OptionFault('ldapdb_uri', 'is not set: set it to the LDAP server, for example ldaps://ldap.example.net')
  return servers
}

const bindOptions = { dn: 'ldapdb_dn', id: 'ldapdb_id', password: 'ldapdb_pw', method: 'ldapdb_mech' } as const

/** AUTH-10: the ldap_bind_* options count where neither ldapdb_dn nor ldapdb_id is set. Throws OptionFault. */
const userBindOf = (config: Config): DirectoryBind => {
  const own = config.isSet('ldapdb_dn') || config.isSet('ldapdb_id')
  const given = {
    dn: own ? config.get('ldapdb_dn') : config.get('ldap_bind_dn'),
    id: own ? config.get('ldapdb_id') : config.get('ldap_bind_id'),
    password: config.get('ldapdb_pw') ?? (own ? undefined : config.get('ldap_bind_pwd')),
    method: config.get('ldapdb_mech') ?? config.get('ldap_bind_method'),
    approvedOnly: config.get('fips140_mode'),
  }
  return bindOf(given, bindOptions)
}
