import { describe, expect, it } from 'vitest'
import { OptionFault } from '#src/config/certificate-files.ts'
import { type Config, type ConfigOverrides, configOf } from '#src/config/config.ts'
import { directoryOf } from '#src/config/directory.ts'
import { configurationLocation } from '#src/config/ldap/location.ts'
import { parseConfig } from '#src/config/ms-conf.ts'
import { type OptionName, optionNames, optionOf } from '#src/config/options.ts'

const usual: ConfigOverrides = {
  auxprop_plugin: ['ldapdb'],
  config_location: ['ldap://ldap.example.net'],
  ldap_basedn: 'cn=server',
  ldap_bind_method: 'SIMPLE',
  ldap_bind_dn: 'cn=wherry',
  ldap_bind_pwd: 'secret',
  saslSearchSuffix: 'ou=users',
}
/** What the services work with, or why they don't. */
const inForce = (config: Config): string => {
  try {
    return JSON.stringify([directoryOf(config), configurationLocation(config)])
  } catch (error) {
    if (error instanceof OptionFault) return error.message
    throw error
  }
}

/** Another value of each option, with what has to go with it. Behaviour at a server is in the tests of src/auth/directory and of load. */
const others: Readonly<Record<string, ConfigOverrides>> = {
  config_location: { config_location: ['ldaps://other.example.net'] },
  ldap_server: { config_location: ['ldap:'], ldap_server: 'other.example.net' },
  ldap_port: { config_location: ['ldap:'], ldap_server: 'ldap.example.net', ldap_port: 389 },
  ldap_bind_dn: { ldap_bind_dn: 'cn=other' },
  ldap_bind_id: { ldap_bind_method: 'DIGEST-MD5', ldap_bind_id: 'other' },
  ldap_bind_pwd: { ldap_bind_pwd: 'other' },
  ldap_bind_method: { ldap_bind_method: 'PLAIN', ldap_bind_id: 'wherry' },
  ldap_basedn: { ldap_basedn: 'cn=other' },
  ldap_shared_folders_dn: { ldap_shared_folders_dn: 'cn=other' },
  dsa_config_dn: { dsa_config_dn: '' },
  ldap_connect_retries: { ldap_connect_retries: 7 },
  ldap_connect_retry_pause: { ldap_connect_retry_pause: 0 },
  ldapdb_user_ocs: { ldapdb_user_ocs: ['top'] },
  ldapdb_domain_ocs: { ldapdb_domain_ocs: ['top'] },
  ldapdb_container_ocs: { ldapdb_container_ocs: ['top'] },
  ldapdb_user_filter: { ldapdb_user_filter: '(uid=*)' },
  ldapdb_user_check_attrs: { ldapdb_user_check_attrs: false },
  ldapdb_domain_filter: { saslDomainAttribute: 'dc', ldapdb_domain_filter: '(%s=%s)' },
  ldapdb_uri: { ldapdb_uri: ['ldap://users.example.net'] },
  ldapdb_dn: { ldapdb_dn: 'cn=other', ldapdb_pw: 'secret', ldapdb_mech: 'SIMPLE' },
  ldapdb_id: { ldapdb_id: 'other', ldapdb_pw: 'secret', ldapdb_mech: 'PLAIN' },
  ldapdb_pw: { ldapdb_dn: 'cn=wherry', ldapdb_pw: 'other', ldapdb_mech: 'SIMPLE' },
  ldapdb_mech: { ldapdb_mech: 'EXTERNAL' },
  ldapdb_tls_server_cert: { ldapdb_tls_server_cert: 'demand' },
  ldapdb_starttls: { ldapdb_starttls: 'yes' },
  ldapdb_ca_cert: { ldapdb_ca_cert: '/ca.pem' },
  ldapdb_client_cert: { ldapdb_client_cert: '/cert.pem' },
  ldapdb_client_key: { ldapdb_client_key: '/key.pem' },
  ldapdb_client_key_passwd: { ldapdb_client_key_passwd: 'other' },
  ldapdb_map_method: { ldapdb_map_method: 'proxyauth' },
  ldapdb_timeout: { ldapdb_timeout: 1 },
  'sasl/tls_cipher_list': { 'sasl/tls_cipher_list': 'HIGH' },
  saslSearchSuffix: { saslSearchSuffix: 'ou=other' },
  saslDCMappingSuffix: { saslDCMappingSuffix: 'ou=other' },
  saslDefaultDomain: { saslDefaultDomain: 'other.example' },
  saslUsernameAttribute: { saslUsernameAttribute: 'cn' },
  saslDomainAttribute: { saslDomainAttribute: 'associatedDomain' },
  auxprop_plugin: { auxprop_plugin: ['ldapdb', 'userdb_cache'] },
  userdb_cache_dir: { auxprop_plugin: ['ldapdb', 'userdb_cache'], userdb_cache_dir: '/other' },
  userdb_cache_days: { auxprop_plugin: ['ldapdb', 'userdb_cache'], userdb_cache_days: 1 },
  use_hashed_passwords: { use_hashed_passwords: true },
  pwcheck_method: { pwcheck_method: 'auxprop-hashed' },
}

const ofDirectory = optionNames.filter((name) =>
  /^(?:ldap|config_location|dsa_|sasl[A-Z]|userdb_|sasl\/tls)/.test(name),
)

describe('every option of the directory (LDAP-02 to LDAP-11, AUTH-10)', () => {
  it.each(ofDirectory)('%s has an effect, or a remark that says why not', (name: OptionName) => {
    if (optionOf(name).later !== undefined) {
      const { findings } = parseConfig(
        Buffer.from(`<ms_options><sasl><${name}>x</${name}></sasl></ms_options>`),
        '/ms.conf',
      )
      expect(findings).toContainEqual(expect.objectContaining({ option: name, severity: 'warning' }))
      expect(optionOf(name).later).toMatch(/^nothing: /)
      return
    }
    const { [name]: value, ...around } = others[name] ?? {}
    expect(value, 'the table has no other value').toBeDefined()
    const before = inForce(configOf({ ...usual, ...around }))
    const after = inForce(configOf({ ...usual, ...around, [name]: value }))
    expect(after).toMatch(/^\[/)
    expect(after).not.toBe(before)
  })
})
