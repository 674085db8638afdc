import { once } from 'node:events'
import { copyFileSync, mkdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type ConfigOverrides, configOf } from '#src/config/config.ts'
import { checkTls, loadTls, TlsError } from '#src/server/tls.ts'
import type { ClientConnection } from '#src/server/types.ts'
import { type Certificates, certificates } from './support/certificates.ts'
import { Client, linesOf, type Serving, serving } from './support/serving.ts'

let made: Certificates
const path = (name: string) => made.path(name)

beforeAll(() => {
  made = certificates()
  made.make('one')
  made.make('two')
  made.make('past', { expired: true })
  made.make('authority', { authority: true })
  made.make('between', { authority: true, by: 'authority' })
  made.make('client', { by: 'authority' })
  made.make('deep', { by: 'between' })
  made.make('stranger')
  made.openssl('x509', '-in', 'one.pem', '-outform', 'DER', '-out', 'one.der')
  made.openssl('pkcs8', '-topk8', '-nocrypt', '-in', 'one.key', '-outform', 'DER', '-out', 'one-key.der')
  made.openssl('ec', '-in', 'one.key', '-outform', 'DER', '-out', 'one-sec1.der')
  made.openssl('pkcs8', '-topk8', '-in', 'one.key', '-passout', 'pass:Sesame1', '-out', 'one-locked.key')
  made.openssl(
    ...['pkcs12', '-export', '-in', 'one.pem', '-inkey', 'one.key', '-passout', 'pass:Sesame1', '-out', 'one.p12'],
  )
  writeFileSync(path('both.pem'), readFileSync(path('one.pem'), 'latin1') + readFileSync(path('one.key'), 'latin1'))
  writeFileSync(path('one.other'), readFileSync(path('one-key.der')))
  writeFileSync(
    path('deep-chain.pem'),
    readFileSync(path('deep.pem'), 'latin1') + readFileSync(path('between.pem'), 'latin1'),
  )
  made.openssl(
    'req',
    '-x509',
    '-newkey',
    'rsa:2048',
    '-nodes',
    '-keyout',
    'rsa.key',
    '-out',
    'rsa.pem',
    '-days',
    '2',
    '-subj',
    '/CN=rsa',
  )
  writeFileSync(path('rubbish.pem'), 'rubbish')
})
afterAll(() => made[Symbol.dispose]())

const tls = (cert: string, key?: string, more: ConfigOverrides = {}): ConfigOverrides => ({
  tls_cert_file: path(cert),
  ...(key === undefined ? {} : { tls_key_file: path(key) }),
  ...more,
})

async function echo(connection: ClientConnection): Promise<void> {
  for await (const line of linesOf(connection)) connection.write(`${line}\r\n`)
}

const serve = (config: ConfigOverrides) => serving(echo, { config, service: { plain: 'imap', tls: 'imaps' } })

function connectTls(server: Serving, options: ConnectionOptions = {}): Client {
  const { at } = server.addresses[1]!
  return new Client(connect({ port: 'port' in at ? at.port : 0, rejectUnauthorized: false, ...options }))
}

/** Common name of the certificate that a client is shown, once it is served; undefined when it is not. */
async function shown(server: Serving, options?: ConnectionOptions): Promise<string | undefined> {
  const client = connectTls(server, options)
  let name: string | undefined
  client.socket.on('secureConnect', () => {
    const { subject } = (client.socket as ReturnType<typeof connect>).getPeerCertificate()
    name = String(subject?.CN)
  })
  client.socket.write('hello\r\n')
  const served = await client.received('hello').then(
    () => true,
    () => false,
  )
  client.socket.destroy()
  return served ? name : undefined
}

describe('certificate files', () => {
  it.each([
    ['PEM', 'one.pem', 'one.key', undefined],
    ['key in the same file', 'both.pem', undefined, undefined],
    ['protected key', 'one.pem', 'one-locked.key', 'Sesame1'],
    ['DER, PKCS#8', 'one.der', 'one-key.der', undefined],
    ['DER, SEC1', 'one.der', 'one-sec1.der', undefined],
    ['DER certificate with PEM key', 'one.der', 'one.key', undefined],
    ['unknown extension of the key: the format of the certificate', 'one.der', 'one.other', undefined],
    ['PKCS#12', 'one.p12', undefined, 'Sesame1'],
  ])('are read: %s (TLS-02, TLS-03)', async (_, cert, key, password) => {
    await using server = await serve(tls(cert, key, password === undefined ? {} : { tls_key_password: password }))
    expect(await shown(server)).toBe('one')
  })

  it.each([
    ['two.key of another certificate', 'one.pem', 'two.key', undefined, /key in tls_key_file belongs to another/],
    ['key of another kind', 'one.pem', 'rsa.key', undefined, /key in tls_key_file belongs to another/],
    ['wrong password', 'one.pem', 'one-locked.key', 'Open', /tls_key_password does not open the key/],
    ['no password', 'one.pem', 'one-locked.key', undefined, /tls_key_password/],
    ['wrong PKCS#12 password', 'one.p12', undefined, 'Open', /tls_key_password does not open the PKCS#12 file/],
    ['missing file', 'absent.pem', undefined, undefined, /tls_cert_file: .*absent\.pem can't be read: ENOENT/],
    ['missing key', 'one.pem', 'absent.key', undefined, /tls_key_file: .*absent\.key can't be read: ENOENT/],
    ['rubbish', 'rubbish.pem', undefined, undefined, /no PEM block/],
    ['unknown extension', 'one.key', undefined, undefined, /\.pem, \.crt, \.der and \.p12/],
    ['key that is none', 'one.der', 'one.der', undefined, /not a DER private key/],
  ])('are refused with the option to change: %s', async (_, cert, key, password, message) => {
    const config = configOf(tls(cert, key, password === undefined ? {} : { tls_key_password: password }))
    const error = await loadTls(config).catch((error: Error) => error)
    expect(error).toBeInstanceOf(TlsError)
    expect((error as Error).message).toMatch(message)
    if (password !== undefined) expect((error as Error).message).not.toContain(password)
  })

  it('are all that TLS needs: nothing has to be activated (TLS-14)', async () => {
    await using server = await serve(tls('one.pem', 'one.key', { enable_imaps: true }))
    expect(await shown(server)).toBe('one')
  })

  it('are needed for IMAPS (TLS-01)', async () => {
    await expect(serve({})).rejects.toThrow('enable_imaps is true, but there is no certificate: set tls_cert_file')
  })
})

describe('ciphers', () => {
  it('are those of the list', async () => {
    const list = 'ECDHE-ECDSA-AES128-GCM-SHA256, ECDHE-ECDSA-AES256-GCM-SHA384'
    await using server = await serve(tls('one.pem', 'one.key', { tls_cipher_list: list }))
    const options: ConnectionOptions = { maxVersion: 'TLSv1.2' }
    expect(await shown(server, { ...options, ciphers: 'ECDHE-ECDSA-AES128-GCM-SHA256' })).toBe('one')
    expect(await shown(server, { ...options, ciphers: 'ECDHE-ECDSA-CHACHA20-POLY1305' })).toBeUndefined()
  })

  it('are refused when OpenSSL has none of them', async () => {
    await expect(loadTls(configOf(tls('one.pem', 'one.key', { tls_cipher_list: 'EXP-RC4-MD5' })))).rejects.toThrow(
      /tls_cipher_list: leaves no suite that OpenSSL [\d.]+ has/,
    )
    expect(await checkTls(configOf({ tls_cipher_list: 'EXP-RC4-MD5' }))).toMatchObject({ option: 'tls_cipher_list' })
    expect(await checkTls(configOf())).toBeUndefined()
  })

  it('and authorities are found wrong without a certificate too', async () => {
    expect(await checkTls(configOf({ tls_ca_file: path('rubbish.pem') }))).toMatchObject({
      option: 'tls_ca_file',
      message: `${path('rubbish.pem')} has no certificate in PEM`,
    })
  })
})

describe('client certificates', () => {
  const certificate = (name: string, chain = `${name}.pem`) => ({
    cert: readFileSync(path(chain)),
    key: readFileSync(path(`${name}.key`)),
  })
  const required = (more: ConfigOverrides) =>
    serve(tls('one.pem', 'one.key', { tls_require_client_cert: true, tls_ca_file: path('authority.pem'), ...more }))

  it('are required, and pass unverified by default (TLS-05, TLS-06)', async () => {
    await using server = await required({})
    expect(await shown(server)).toBeUndefined()
    expect(await shown(server, certificate('client'))).toBe('one')
    expect(await shown(server, certificate('stranger'))).toBe('one')
  })

  it('must verify with tls_force_verify false (TLS-06)', async () => {
    await using server = await required({ tls_force_verify: false })
    expect(await shown(server)).toBeUndefined()
    expect(await shown(server, certificate('client'))).toBe('one')
    expect(await shown(server, certificate('stranger'))).toBeUndefined()
  })

  it('have no longer chain than tls_verify_depth (TLS-07)', async () => {
    for (const [depth, served] of [
      [1, undefined],
      [2, 'one'],
    ] as const) {
      await using server = await required({ tls_force_verify: false, tls_verify_depth: depth })
      expect(await shown(server, certificate('client'))).toBe('one')
      expect(await shown(server, certificate('deep', 'deep-chain.pem'))).toBe(served)
    }
  })
})

describe('tls_ca_path (TLS-04)', () => {
  it('counts while a certificate is verified: what is put there, or taken away, needs no restart', async () => {
    const directory = path('authorities')
    mkdirSync(directory)
    await using server = await serve(
      tls('one.pem', 'one.key', { tls_require_client_cert: true, tls_force_verify: false, tls_ca_path: directory }),
    )
    const client = { cert: readFileSync(path('client.pem')), key: readFileSync(path('client.key')) }
    expect(await shown(server, client)).toBeUndefined()
    copyFileSync(path('authority.pem'), join(directory, 'authority.pem'))
    expect(await shown(server, client)).toBe('one')
    rmSync(directory, { recursive: true })
    expect(await shown(server, client)).toBeUndefined()
  })

  it('while tls_ca_file is the state of the start', async () => {
    copyFileSync(path('authority.pem'), path('live-authority.pem'))
    const config = { tls_require_client_cert: true, tls_force_verify: false, tls_ca_file: path('live-authority.pem') }
    await using server = await serve(tls('one.pem', 'one.key', config))
    copyFileSync(path('stranger.pem'), path('live-authority.pem'))
    const client = { cert: readFileSync(path('client.pem')), key: readFileSync(path('client.key')) }
    expect(await shown(server, client)).toBe('one')
  })
})

describe('several certificates', () => {
  const suiteOf = async (server: Serving, options: ConnectionOptions): Promise<string> => {
    const client = connectTls(server, options)
    await once(client.socket, 'secureConnect')
    const { asn1Curve } = (client.socket as TLSSocket).getPeerCertificate()
    client.socket.destroy()
    return asn1Curve === undefined ? 'RSA' : 'ECDSA'
  }

  it('are one of each kind of key, and ECDSA is preferred', async () => {
    await using server = await serve({
      tls_cert_file: [path('rsa.pem'), path('one.pem')],
      tls_key_file: [path('rsa.key'), path('one.key')],
    })
    for (const maxVersion of ['TLSv1.3', 'TLSv1.2'] as const) {
      expect(await suiteOf(server, { maxVersion }), maxVersion).toBe('ECDSA')
      expect(await suiteOf(server, { maxVersion, sigalgs: 'rsa_pss_rsae_sha256' }), maxVersion).toBe('RSA')
    }
  })

  it('have a key each', async () => {
    const config = configOf({ tls_cert_file: [path('rsa.pem'), path('one.pem')], tls_key_file: path('rsa.key') })
    await expect(loadTls(config)).rejects.toThrow('tls_key_file: is there 1 times and tls_cert_file 2 times')
  })
})

describe('anonymous suites (TLS-01, TLS-16)', () => {
  it('do without a certificate where the list names them', async () => {
    await using server = await serve({ tls_cipher_list: 'ADH' })
    expect(await shown(server, { ciphers: 'ADH-AES256-GCM-SHA384:@SECLEVEL=0' })).toBe('undefined')
    expect(await shown(server)).toBeUndefined()
  })

  it('a list without suites of TLS 1.3 ends with TLS 1.2', async () => {
    await using server = await serve(tls('one.pem', 'one.key', { tls_cipher_list: 'ECDHE+AES256' }))
    expect(await shown(server, { minVersion: 'TLSv1.3' })).toBeUndefined()
    expect(await shown(server)).toBe('one')
  })

  it('are not in ALL, whatever the client offers', async () => {
    await expect(serve({ tls_cipher_list: 'ALL' })).rejects.toThrow('there is no certificate')
    await using server = await serve(tls('one.pem', 'one.key', { tls_cipher_list: 'ALL' }))
    expect(await shown(server, { ciphers: 'aNULL:eNULL:@SECLEVEL=0', maxVersion: 'TLSv1.2' })).toBeUndefined()
  })

  it('suites without encryption are used where the list names them', async () => {
    await using server = await serve(tls('one.pem', 'one.key', { tls_cipher_list: 'ALL:eNULL' }))
    expect(await shown(server, { ciphers: 'eNULL:@SECLEVEL=0', maxVersion: 'TLSv1.2' })).toBe('one')
  })
})

describe('session tickets', () => {
  const resumed = async (server: Serving, session?: Buffer): Promise<{ reused: boolean; session: Buffer }> => {
    const client = connectTls(server, session === undefined ? {} : { session })
    const socket = client.socket as TLSSocket
    const ticket = session === undefined ? once(socket, 'session') : [session]
    socket.write('hello\r\n')
    await client.received('hello')
    const [next] = (await ticket) as [Buffer]
    const reused = socket.isSessionReused()
    socket.destroy()
    return { reused, session: next }
  }

  it('are taken by every process of the service, and after a restart; a key is renewed', async () => {
    const config = tls('one.pem', 'one.key', { run_dir: made.directory })
    await using first = await serve(config)
    const { session } = await resumed(first)
    expect(await resumed(first, session)).toMatchObject({ reused: true })
    {
      await using second = await serve(config)
      expect(await resumed(second, session)).toMatchObject({ reused: true })
    }
    const keys = path('tls-tickets.imap')
    expect(statSync(keys).mode & 0o777).toBe(0o600)
    utimesSync(keys, new Date(), new Date(Date.now() - 13 * 60 * 60_000))
    await using third = await serve(config)
    expect(await resumed(third, session)).toMatchObject({ reused: false })
  })

  it('are not given to clients whose certificates count: each is looked at again (TLS-07, AUTH-12)', async () => {
    await using server = await serve(
      tls('one.pem', 'one.key', { tls_require_client_cert: true, tls_ca_file: path('authority.pem') }),
    )
    const client = connectTls(server, {
      cert: readFileSync(path('client.pem')),
      key: readFileSync(path('client.key')),
      maxVersion: 'TLSv1.2',
    })
    client.socket.write('hello\r\n')
    await client.received('hello')
    expect((client.socket as TLSSocket).getTLSTicket()).toBeUndefined()
    client.socket.destroy()
  })
})

describe('a reload', () => {
  it('takes a new certificate for new connections; open ones go on', async () => {
    const file = (name: string) => readFileSync(path(name))
    writeFileSync(path('live.pem'), file('one.pem'))
    writeFileSync(path('live.key'), file('one.key'))
    const config = tls('live.pem', 'live.key')
    await using server = await serve(config)
    const open = connectTls(server)
    open.socket.write('before\r\n')
    await open.received('before')
    writeFileSync(path('live.pem'), file('two.pem'))
    writeFileSync(path('live.key'), file('two.key'))
    await server.reload(configOf(config))
    expect(await shown(server)).toBe('two')
    open.socket.write('after\r\n')
    await open.received('after')
    open.socket.destroy()
  })

  it('keeps the old one when the new one is no good (F40)', async () => {
    await using server = await serve(tls('one.pem', 'one.key'))
    for (const bad of [
      tls('one.pem', 'two.key'),
      tls('absent.pem'),
      tls('rubbish.pem'),
      tls('past.pem', 'past.key'),
      {},
    ]) {
      await expect(server.reload(configOf(bad))).rejects.toBeInstanceOf(TlsError)
      expect(await shown(server)).toBe('one')
    }
  })
})
