/** Where in a directory the configuration is. LDAP-02, LDAP-03 */
import { OptionFault } from '../certificate-files.ts'
import type { Config } from '../config.ts'
import { bindOf, configurationServers, connectionParts, type DirectoryConnection } from './connection-settings.ts'

export interface ConfigurationLocation {
  readonly connection: DirectoryConnection
  /** DN of the entry of this server. */
  readonly serverDn: string
  /** DN of the directory server's own entry; undefined: it is not read. */
  readonly dsaDn: string | undefined
  /** Whether the operator named it: then its absence is worth a word. */
  readonly dsaIsNamed: boolean
  /** Shared roots are below it, unless the server entry says otherwise. */
  readonly sharedRootsDn: string
}

const options = {
  dn: 'ldap_bind_dn',
  id: 'ldap_bind_id',
  password: 'ldap_bind_pwd',
  method: 'ldap_bind_method',
} as const

/** Undefined when the file has all of the configuration. Throws OptionFault. */
export const configurationLocation = (config: Config): ConfigurationLocation | undefined => {
  const location = config.get('config_location')
  if (location.length === 0 || (location.length === 1 && location[0]!.toLowerCase() === 'local')) return undefined
  const servers = configurationServers(config)
  if (servers.length === 0)
    throw new OptionFault('ldap_server', 'is not set, and config_location ldap: asks the server that it names')
  const serverDn = config.get('ldap_basedn')
  if (!serverDn)
    throw new OptionFault('ldap_basedn', 'is not set: set it to the DN of the entry with the configuration')
  const bind = bindOf(
    {
      dn: config.get('ldap_bind_dn'),
      id: config.get('ldap_bind_id'),
      password: config.get('ldap_bind_pwd'),
      method: config.get('ldap_bind_method'),
      approvedOnly: config.get('fips140_mode'),
    },
    options,
  )
  return {
    connection: { servers, bind, ...connectionParts(config) },
    serverDn,
    dsaDn: config.get('dsa_config_dn') || undefined,
    dsaIsNamed: config.isSet('dsa_config_dn'),
    sharedRootsDn: config.get('ldap_shared_folders_dn') || `cn=Shared Folders,${serverDn}`,
  }
}
