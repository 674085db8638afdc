import { describe, expect, it } from 'vitest'
import { type ConfigOverrides, configOf } from '#src/config/config.ts'
import { directoryOf } from '#src/config/directory.ts'

const usual: ConfigOverrides = {
  auxprop_plugin: ['ldapdb'],
  ldapdb_uri: ['ldap://ldap.example.net'],
  ldapdb_dn: 'cn=wherry',
  ldapdb_pw: 'secret',
  ldapdb_mech: 'SIMPLE',
  saslSearchSuffix: 'ou=users, o=myisp',
}
const settings = (more: ConfigOverrides = {}) => directoryOf(configOf({ ...usual, ...more }))

describe('where users are', () => {
  it('AUTH-07 LDAP-11: in a directory with ldapdb in auxprop_plugin only', () => {
    expect(settings()).toBeDefined()
    expect(settings({ auxprop_plugin: undefined })).toBeUndefined()
    expect(() => settings({ auxprop_plugin: ['sql'] })).toThrow('"sql" is not known')
    expect(() => settings({ auxprop_plugin: ['userdb_cache'] })).toThrow('around ldapdb')
    expect(() => settings({ auxprop_plugin: undefined, use_hashed_passwords: true })).toThrow('auxprop_plugin')
  })

  it.each([
    ['ldap://a.example', { host: 'a.example', port: 389, secure: false }],
    ['ldap://a.example:19389/', { host: 'a.example', port: 19389, secure: false }],
    ['ldaps://a.example', { host: 'a.example', port: 636, secure: true }],
    ['ldaps://[2001:db8::1]:6636', { host: '2001:db8::1', port: 6636, secure: true }],
    ['ldapi://%2Frun%2Fldapi', { path: '/run/ldapi' }],
    ['ldapi:///', { path: '/var/run/slapd/ldapi' }],
  ])('%s', (url, expected) => {
    expect(settings({ ldapdb_uri: [url] })?.servers).toMatchObject([expected])
  })

  it.each([
    'http://a.example',
    'a.example',
    'ldap://',
    'ldap://a.example/o=myisp',
    'ldap://u:p@a.example',
    'ldapi://x',
  ])('%s is no server', (url) => {
    expect(() => settings({ ldapdb_uri: [url] })).toThrow('is not one of')
  })

  it('AUTH-10: ldap_server and ldap_port (19389, LDAP-02) where ldapdb_uri is not set', () => {
    const servers = settings({ ldapdb_uri: undefined, ldap_server: 'a.example' })?.servers
    expect(servers).toMatchObject([{ host: 'a.example', port: 19389 }])
    expect(() => settings({ ldapdb_uri: undefined })).toThrow('is not set')
  })

  it('AUTH-10 LDAP-10: ldap_bind_* count only while neither ldapdb_dn nor ldapdb_id is set', () => {
    const general = { ldap_bind_dn: 'cn=g', ldap_bind_id: 'g', ldap_bind_pwd: 'g', ldap_bind_method: 'PLAIN' }
    const none = { ldapdb_dn: undefined, ldapdb_pw: undefined, ldapdb_mech: undefined }
    expect(settings({ ...general, ...none })?.bind).toEqual({ method: 'PLAIN', id: 'g', password: 'g' })
    expect(settings({ ...general, ...none, ldapdb_mech: 'simple' })?.bind).toEqual({
      method: 'SIMPLE',
      dn: 'cn=g',
      password: 'g',
    })
    expect(() => settings({ ...general, ldapdb_pw: undefined })).toThrow('needs a password')
    expect(() => settings({ ...general, ldapdb_dn: undefined, ldapdb_id: 'x' })).toThrow('binds with it')
  })

  it.each([
    [{ ldapdb_mech: undefined }, 'DIGEST-MD5 binds with it'],
    [{ ldapdb_mech: 'GSSAPI' }, 'GSSAPI can'],
    [{ ldapdb_pw: '' }, 'needs a password'],
    [{ saslSearchSuffix: undefined }, 'the DN below which the users are'],
  ])('%j is refused with what to do', (more, message) => {
    expect(() => settings(more)).toThrow(message)
  })

  it('EXTERNAL needs no password', () => {
    expect(settings({ ldapdb_mech: 'EXTERNAL', ldapdb_pw: undefined })?.bind).toEqual({
      method: 'EXTERNAL',
      id: undefined,
    })
  })
})
