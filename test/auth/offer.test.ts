import { describe, expect, it } from 'vitest'
import type { Channel } from '#src/auth/sasl/mechanism.ts'
import { offerOf } from '#src/auth/sasl/offer.ts'
import { type ConfigOverrides, configOf } from '#src/config/config.ts'
import { keyBits } from '#src/server/channel.ts'

const tls = (ssf: number): Channel => ({ ssf, binds: true, binding: () => undefined, clientNames: [] })
const offer = (overrides: ConfigOverrides = {}, channel: Channel | undefined = undefined) =>
  offerOf(configOf(overrides), channel)

describe('what is offered', () => {
  it('AUTH-02 AUTH-05 everything, strongest first, when mech_list is not set', () => {
    expect(offer({}, tls(256))).toEqual({
      passwords: true,
      mechanisms: ['SCRAM-SHA-256-PLUS', 'SCRAM-SHA-1-PLUS', 'SCRAM-SHA-256', 'SCRAM-SHA-1', 'PLAIN', 'LOGIN'],
    })
  })

  it('AUTH-02 AUTH-03 what mech_list and we have in common', () => {
    const list = (...mech_list: string[]) => offer({ mech_list }, tls(256)).mechanisms
    expect(list('SRP', 'GSSAPI', 'scram-sha-1')).toEqual(['SCRAM-SHA-1-PLUS', 'SCRAM-SHA-1'])
    expect(list('PLAIN', 'SCRAM-SHA-256-PLUS')).toEqual(['SCRAM-SHA-256-PLUS', 'PLAIN'])
    expect(list('SRP', 'GSSAPI', 'DIGEST-MD5')).toEqual([])
  })

  it('AUTH-02 AUTH-09 login_disabled takes what shows a password, until there is TLS', () => {
    expect(offer({ login_disabled: true })).toEqual({
      passwords: false,
      mechanisms: ['SCRAM-SHA-256', 'SCRAM-SHA-1'],
    })
    expect(offer({ login_disabled: true, mech_list: ['PLAIN'] }, tls(128))).toEqual({
      passwords: true,
      mechanisms: ['PLAIN'],
    })
    expect(offer({ login_disabled: false, mech_list: ['PLAIN'] })).toEqual({ passwords: true, mechanisms: ['PLAIN'] })
  })

  it('AUTH-02 min_ssf takes everything from a connection that is weaker', () => {
    const options = { min_ssf: 256, login_disabled: false, mech_list: ['PLAIN'] }
    for (const channel of [undefined, tls(128)])
      expect(offer(options, channel)).toEqual({ passwords: false, mechanisms: [] })
    expect(offer(options, tls(256))).toEqual({ passwords: true, mechanisms: ['PLAIN'] })
  })

  it('AUTH-04 AUTH-05 AUTH-08 of users in a directory what the stored password is good for', () => {
    const directory = (more: ConfigOverrides) => offer({ auxprop_plugin: ['ldapdb'], ...more }, tls(256)).mechanisms
    const scram = ['SCRAM-SHA-256', 'SCRAM-SHA-1']
    expect(directory({ pwcheck_method: 'auxprop' })).toEqual([
      ...scram.map((name) => `${name}-PLUS`),
      ...scram,
      ...['DIGEST-MD5', 'CRAM-MD5', 'PLAIN', 'LOGIN'],
    ])
    expect(directory({ pwcheck_method: 'auxprop-hashed' })).toEqual(['PLAIN', 'LOGIN'])
    expect(directory({ use_hashed_passwords: true })).toEqual(['PLAIN', 'LOGIN'])
    expect(offer({ auxprop_plugin: ['ldapdb'], login_disabled: true }).mechanisms).toEqual([
      ...scram,
      ...['DIGEST-MD5', 'CRAM-MD5'],
    ])
  })

  it('AUTH-03 of PLAIN, DIGEST-MD5 and no more, the list SRP, GSSAPI, DIGEST-MD5 offers DIGEST-MD5', () => {
    const config = { auxprop_plugin: ['ldapdb'], mech_list: ['SRP', 'GSSAPI', 'DIGEST-MD5'] }
    expect(offer(config, tls(256)).mechanisms).toEqual(['DIGEST-MD5'])
  })

  it('AUTH-12 EXTERNAL first, to a client whose certificate verifies and has an address', () => {
    const channel = { ...tls(256), clientNames: ['joe@a.example'] }
    expect(offer({ mech_list: ['PLAIN', 'EXTERNAL'] }, channel).mechanisms).toEqual(['EXTERNAL', 'PLAIN'])
    expect(offer({ mech_list: ['PLAIN', 'EXTERNAL'] }, tls(256)).mechanisms).toEqual(['PLAIN'])
  })

  it('GW-13 no mechanism in gateway mode; SYN-01 those that bring the password in synchronisation mode', () => {
    expect(offer({ gateway_mode: true }, tls(256))).toEqual({ passwords: true, mechanisms: [] })
    expect(offer({ sync_mode: true }, tls(256)).mechanisms).toEqual(['PLAIN', 'LOGIN'])
    expect(offer({ sync_mode: true, mech_list: ['SCRAM-SHA-256'] }).mechanisms).toEqual(['SCRAM-SHA-256'])
  })
})

it.each([
  ['TLS_AES_256_GCM_SHA384', 256],
  ['TLS_AES_128_GCM_SHA256', 128],
  ['TLS_CHACHA20_POLY1305_SHA256', 256],
  ['TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA', 128],
  ['TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256', 256],
  ['TLS_RSA_WITH_3DES_EDE_CBC_SHA', 112],
  ['TLS_RSA_WITH_NULL_SHA', 0],
])('%s has a key of %d bits', (suite, bits) => {
  expect(keyBits(suite)).toBe(bits)
})
