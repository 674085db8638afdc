/** What has to hold between options. */
import { OptionFault } from './certificate-files.ts'
import type { Config } from './config.ts'
import { cipherList, cipherListIn } from './configured-ciphers.ts'
import { directoryOf } from './directory.ts'
import type { Finding } from './finding.ts'
import { isExposed } from './ldap/connection-settings.ts'
import { configurationLocation } from './ldap/location.ts'
import { listenerServices, listenersOf } from './listeners.ts'
import type { OptionName } from './options.ts'
import { checkSharedFolders } from './shared-folders.ts'

/** Where a forgotten auxprop_plugin would leave logins to the accounts here. */
const ldapdbOptions = ['ldapdb_uri', 'ldapdb_dn', 'ldapdb_id'] as const

/** Where a forgotten config_location would leave the configuration to the file. */
const configurationOptions = ['ldap_basedn', 'dsa_config_dn', 'ldap_shared_folders_dn'] as const

type Fault = Pick<Finding, 'severity' | 'message'> & { readonly option: OptionName }

const cipherLists = ['tls_cipher_list', 'sasl/tls_cipher_list'] as const

/** What is wrong between options whose own values are valid. */
export const checkRelations = (config: Config): readonly Fault[] => {
  const faults: Fault[] = []
  const error = (option: OptionName, message: string) => faults.push({ severity: 'error', option, message })
  const warning = (option: OptionName, message: string) => faults.push({ severity: 'warning', option, message })
  // An anonymous suite of the list does without a certificate. TLS-01
  const anonymous = cipherLists.map((option) => {
    try {
      const list = cipherList(option, cipherListIn(config, option))
      if (config.isSet(option)) for (const remark of list.warnings) warning(option, remark)
      return list.anonymous
    } catch (fault) {
      if (!(fault instanceof OptionFault)) throw fault
      error(option, fault.message)
      return false
    }
  })
  const hasCertificate = config.isSet('tls_cert_file')
  const tls = hasCertificate || anonymous[0] === true

  if (config.get('fips140_mode'))
    warning(
      'fips140_mode',
      `limits the algorithms; OpenSSL ${process.versions.openssl} of this Node is not a validated module, and passwords are kept by scrypt`,
    )
  for (const name of config.get('mech_list') ?? [])
    if (['GSSAPI', 'GSS-SPNEGO', 'NTLM'].includes(name.toUpperCase()))
      warning('mech_list', `has ${name.toUpperCase()}, which this product does not have; it is not offered`)
  // GW-01, MIG-01
  if (config.get('gateway_mode') && config.get('auto_migrate'))
    error('auto_migrate', 'gateway_mode and auto_migrate exclude each other; set one of them to false')
  if (config.get('thread_pool_min') > config.get('thread_pool_max'))
    error('thread_pool_min', 'is above thread_pool_max; lower it, or raise thread_pool_max')
  for (const option of ['enable_imaps', 'enable_pop3s'] as const)
    if (config.get(option) && !tls) error(option, 'needs a certificate; set tls_cert_file, or this option to false')
  if (config.get('min_ssf') > 0 && !tls)
    error(
      'min_ssf',
      'is above 0, which takes TLS to reach, and there is no certificate; set tls_cert_file, or this option to 0',
    )
  if (config.isSet('login_oauth_jwks') && config.isSet('login_oauth_introspection'))
    error('login_oauth_jwks', 'and login_oauth_introspection are two ways to check a token; set one of them')
  // Else a token that the provider made for another service would open mailboxes here.
  for (const option of ['login_oauth_issuer', 'login_oauth_audience'] as const)
    if (config.isSet('login_oauth_jwks') && !config.isSet(option))
      error('login_oauth_jwks', `needs ${option}, or tokens for other services would be taken`)
  if (config.get('msevent_tls') && !tls) error('msevent_tls', 'needs a certificate; set tls_cert_file')
  for (const option of ['tls_key_file', 'tls_key_password'] as const)
    if (config.get(option) && !hasCertificate) warning(option, 'has no effect without tls_cert_file')
  if (config.get('require_client_tls') && config.get('suppress_client_tls'))
    error('require_client_tls', 'contradicts suppress_client_tls; set one of them to false')
  for (const [index, { localAddr }] of config.all('domain_map').entries())
    if (config.all('domain_map').findIndex((other) => other.localAddr === localAddr) < index)
      error('domain_map', `${localAddr} has two domains; leave one`)
  for (const [index, { domain }] of config.all('domain_rule').entries())
    if (config.all('domain_rule').findIndex((other) => other.domain.toLowerCase() === domain.toLowerCase()) < index)
      error('domain_rule', `${domain} has two rules; make them one`)
  for (const service of listenerServices) {
    try {
      listenersOf(config, service)
    } catch (fault) {
      error(`${service}_port`, (fault as RangeError).message)
    }
  }
  try {
    const configuration = configurationLocation(config)
    if (configuration !== undefined && isExposed(configuration.connection))
      warning(
        'config_location',
        'what is read, and with SIMPLE and PLAIN the password of the bind, can be read and changed on the way to the directory; take ldaps://, or set ldapdb_starttls',
      )
    if (configuration === undefined)
      for (const option of configurationOptions)
        if (config.isSet(option)) warning(option, 'has no effect unless config_location names a directory')
    const directory = directoryOf(config)
    if (directory !== undefined && isExposed(directory))
      warning(
        'ldapdb_uri',
        'passwords of users are readable on the way to the directory; take ldaps://, or set ldapdb_starttls',
      )
    if (directory === undefined)
      for (const option of ldapdbOptions)
        if (config.isSet(option)) warning(option, 'has no effect unless auxprop_plugin has ldapdb')
  } catch (fault) {
    if (!(fault instanceof OptionFault)) throw fault
    error(fault.option, fault.message)
  }
  const live = [config.get('userdir'), ...config.all('partitions')]
  const roots = [...live, ...config.all('archives')]
  for (const [index, root] of roots.entries())
    for (const other of roots.slice(0, index))
      if (`${root}/`.startsWith(`${other}/`) || `${other}/`.startsWith(`${root}/`))
        error(
          index < live.length ? 'partitions' : 'archives',
          `${root} and ${other} are the same, or one is inside the other; give each a directory of its own`,
        )
  for (const { option, message } of checkSharedFolders(config)) error(option, message)
  if (config.get('pop_timeout') < 10)
    warning('pop_timeout', 'is below the 10 minutes that RFC 1939 demands; some clients will lose their sessions')
  return faults
}
