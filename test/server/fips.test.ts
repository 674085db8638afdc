/** AUTH-13: fips140_mode limits the algorithms of TLS and SASL. */
import tls, { type ConnectionOptions, connect } from 'node:tls'
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'
import { offerOf } from '#src/auth/sasl/offer.ts'
import { type ConfigOverrides, configOf } from '#src/config/config.ts'
import { parseConfig } from '#src/config/ms-conf.ts'
import { limitAlgorithms } from '#src/server/approved-algorithms.ts'
import { type Certificates, certificates } from './support/certificates.ts'
import { Client, linesOf, serving } from './support/serving.ts'

let made: Certificates
beforeAll(() => {
  made = certificates()
  made.make('one')
})
afterAll(() => made[Symbol.dispose]())
const { DEFAULT_CIPHERS, DEFAULT_ECDH_CURVE } = tls
afterEach(() => Object.assign(tls, { DEFAULT_CIPHERS, DEFAULT_ECDH_CURVE }))

const serve = (config: ConfigOverrides) =>
  serving(
    async (connection) => {
      for await (const line of linesOf(connection)) connection.write(`${line}\r\n`)
    },
    {
      config: { tls_cert_file: made.path('one.pem'), tls_key_file: made.path('one.key'), ...config },
      service: { plain: 'imap', tls: 'imaps' },
    },
  )

const isServed = async (server: Awaited<ReturnType<typeof serve>>, options: ConnectionOptions): Promise<boolean> => {
  const { at } = server.addresses[1]!
  const client = new Client(connect({ port: 'port' in at ? at.port : 0, rejectUnauthorized: false, ...options }))
  client.socket.write('hello\r\n')
  const served = await client.received('hello').then(
    () => true,
    () => false,
  )
  client.socket.destroy()
  return served
}

it('services speak AES on curves of NIST, with ephemeral keys', async () => {
  await using limited = await serve({ fips140_mode: true })
  await using free = await serve({})
  const cases: readonly [ConnectionOptions, boolean][] = [
    [{ ciphers: 'TLS_AES_256_GCM_SHA384' }, true],
    [{ ciphers: 'ECDHE-ECDSA-AES128-GCM-SHA256', maxVersion: 'TLSv1.2' }, true],
    [{ ciphers: 'TLS_CHACHA20_POLY1305_SHA256', minVersion: 'TLSv1.3' }, false],
    [{ ciphers: 'ECDHE-ECDSA-CHACHA20-POLY1305', maxVersion: 'TLSv1.2' }, false],
    [{ ciphers: 'ECDHE-ECDSA-CAMELLIA256-SHA384', maxVersion: 'TLSv1.2' }, false],
    [{ ecdhCurve: 'X25519' }, false],
  ]
  for (const [options, served] of cases) {
    expect(await isServed(free, options), JSON.stringify(options)).toBe(true)
    expect(await isServed(limited, options), JSON.stringify(options)).toBe(served)
  }
})

it('so do connections whose ciphers no option says', async () => {
  limitAlgorithms(configOf({ fips140_mode: true }))
  expect(tls.DEFAULT_CIPHERS).toMatch(/^TLS_AES_256_GCM_SHA384:/)
  expect(tls.DEFAULT_CIPHERS).not.toMatch(/CHACHA|CAMELLIA|ARIA|:AES/)
  await using server = await serve({ tls_cipher_list: 'TLS_CHACHA20_POLY1305_SHA256' })
  expect(await isServed(server, {})).toBe(false)
})

it('SASL does without MD5', () => {
  const directory = { auxprop_plugin: ['ldapdb'], ldapdb_uri: ['ldapi://'], login_disabled: false } as const
  const names = (more: ConfigOverrides) => offerOf(configOf({ ...directory, ...more }), undefined).mechanisms
  expect(names({})).toEqual(expect.arrayContaining(['DIGEST-MD5', 'CRAM-MD5', 'SCRAM-SHA-256']))
  expect(names({ fips140_mode: true }).filter((name) => /MD5/.test(name))).toEqual([])
  expect(names({ fips140_mode: true })).toContain('SCRAM-SHA-256')
})

it('ms.conf is told what it is not, and what contradicts it', () => {
  const findings = (inner: string) =>
    parseConfig(
      Buffer.from(`<ms_options>${inner}<sasl><fips140_mode>true</fips140_mode></sasl></ms_options>`),
      '/ms.conf',
    ).findings
  expect(findings('')).toMatchObject([
    { severity: 'warning', message: expect.stringContaining('is not a validated module') },
  ])
  expect(findings('<tls_cipher_list>CHACHA20</tls_cipher_list>')).toMatchObject([
    { severity: 'error', option: 'tls_cipher_list', message: expect.stringContaining('leaves no suite') },
    { severity: 'warning' },
  ])
  const directory =
    '<config_location>ldap:</config_location><ldap_server>localhost</ldap_server><ldap_basedn>o=x</ldap_basedn><ldap_bind_pwd>x</ldap_bind_pwd>'
  expect(findings(`${directory}<ldap_bind_id>x</ldap_bind_id>`)).toContainEqual(
    expect.objectContaining({
      severity: 'error',
      message: expect.stringContaining('is DIGEST-MD5, which fips140_mode excludes'),
    }),
  )
})
