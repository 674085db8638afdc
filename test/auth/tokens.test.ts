/** Logins with OAuth access tokens. RFC 7628, RFC 7662, RFC 7517 */
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import nock from 'nock'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { Bearer } from '#gateway/backend/sasl.ts'
import { openAccounts } from '#src/auth/accounts.ts'
import { createAuthenticator } from '#src/auth/authenticator.ts'
import type { Channel } from '#src/auth/sasl/mechanism.ts'
import { offerOf } from '#src/auth/sasl/offer.ts'
import { systemClock } from '#src/base/clock.ts'
import { AuthError, SyntaxFault } from '#src/base/errors.ts'
import type { UserId } from '#src/base/ids.ts'
import type { Log } from '#src/base/log.ts'
import { type ConfigOverrides, configOf } from '#src/config/config.ts'
import { checkRelations } from '#src/config/relations.ts'
import { startImapd } from '../imapd/support.ts'
import { certificates } from '../server/support/certificates.ts'
import { runClient } from '../support/client.ts'

const user = 'joe@a.example'
const token = 'opaque.TOKEN_1-2~3+4/5=='
const channel: Channel = { ssf: 256, binds: false, binding: () => undefined, clientNames: [] }
let directory: string
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tokens-'))
  const accounts = openAccounts(directory)
  for (const name of [user, 'root@a.example'])
    await accounts.add({
      userId: name as UserId,
      state: 'enabled',
      verifiers: undefined,
      services: {},
      properties: [],
    })
})
afterAll(() => rm(directory, { recursive: true }))

const written: string[] = []
const log: Log = { log: (...record) => written.push(JSON.stringify(record)), child: () => log }

/** Kind of the refusal or the user, and what the client was asked. */
const login = async (
  config: ConfigOverrides,
  mechanism: 'OAUTHBEARER' | 'XOAUTH2',
  initial: Buffer = new Bearer(mechanism, { user, secret: Buffer.from(token) }).initial,
): Promise<readonly [string, ...string[]]> => {
  const asked: string[] = []
  const authenticator = createAuthenticator({
    config: configOf({ account_db: directory, domain: 'a.example', ...config }),
    log,
    clock: systemClock,
  })
  const request = {
    service: 'imap',
    localAddress: '127.0.0.1',
    remoteAddress: '192.0.2.7',
    signal: new AbortController().signal,
    mechanism,
    initial,
    ask: async (challenge: Buffer) => {
      asked.push(challenge.toString())
      return Buffer.from('\x01')
    },
    channel,
  } as const
  try {
    return [(await authenticator.authenticate(request)).userId, ...asked]
  } catch (error) {
    if (error instanceof AuthError) return [error.kind, ...asked]
    if (error instanceof SyntaxFault) return ['syntax', ...asked]
    throw error
  }
}
const invalid = ['bad-credentials', '{"status":"invalid_token"}'] as const

beforeEach(() => nock.disableNetConnect())
afterEach(() => {
  const left = nock.pendingMocks()
  nock.cleanAll()
  nock.enableNetConnect()
  expect(left).toEqual([])
  expect(written.join()).not.toContain(token.slice(0, 12))
  written.length = 0
})

describe('a token that the provider is asked about', () => {
  const config = {
    login_oauth_introspection: 'https://login.example/introspect',
    login_oauth_client_id: 'wherry mail',
    login_oauth_client_secret: 'ge:heim',
  }
  const answers = (status: number, answer: nock.Body) => {
    nock('https://login.example')
      .post('/introspect', (body) => body.token === token)
      // RFC 6749 §2.3.1: form-encoded, then Basic.
      .matchHeader('authorization', `Basic ${Buffer.from('wherry+mail:ge%3Aheim').toString('base64')}`)
      .reply(status, answer)
  }

  it.each(['OAUTHBEARER', 'XOAUTH2'] as const)('RFC 7662 lets the user of it in by %s', async (mechanism) => {
    answers(200, { active: true, email: user })
    expect(await login(config, mechanism)).toEqual([user])
    answers(200, { active: false })
    expect(await login(config, mechanism)).toEqual(invalid)
  })

  it.each([
    [{ active: true }, {}, invalid],
    [{ active: 'true', email: user }, {}, invalid],
    [{ active: true, email: user, email_verified: false }, {}, invalid],
    [{ active: true, email: user, scope: 'openid' }, { login_oauth_scope: 'mail' }, invalid],
    [{ active: true, email: user, scope: 'openid mail' }, { login_oauth_scope: 'mail' }, [user]],
    [{ active: true, email: user, aud: ['x', 'y'] }, { login_oauth_audience: 'z' }, invalid],
    [{ active: true, email: user, aud: ['x', 'y'] }, { login_oauth_audience: 'y' }, [user]],
    [{ active: true, email: user, iss: 'https://x' }, { login_oauth_issuer: 'https://y' }, invalid],
    [{ active: true, username: 'joe' }, { login_oauth_claim: 'username' }, [user]],
    [{ active: true, email: 'nobody@a.example' }, {}, ['bad-credentials']],
    // Somebody else's token.
    [{ active: true, email: 'root@a.example' }, {}, ['denied']],
    [{ active: true, email: 'root@a.example' }, { admin_user: 'root' }, [user]],
  ] as const)('%j with %j: %j', async (answer, more, expected) => {
    answers(200, answer as nock.Body)
    expect(await login({ ...config, ...more }, 'OAUTHBEARER')).toEqual(expected)
  })

  it('is no wrong password where the provider can not be asked', async () => {
    answers(500, 'no')
    expect(await login(config, 'OAUTHBEARER')).toEqual(['unavailable'])
    answers(200, 'no JSON')
    expect(await login(config, 'OAUTHBEARER')).toEqual(['unavailable'])
    answers(200, `{"active":true,"filler":"${'x'.repeat(70_000)}"}`)
    expect(await login(config, 'OAUTHBEARER')).toEqual(['unavailable'])
    expect(await login(config, 'OAUTHBEARER')).toEqual(['unavailable'])
  })

  it.each([
    ['OAUTHBEARER', ''],
    ['OAUTHBEARER', `n,a=${user},\x01auth=Basic ${token}\x01\x01`],
    ['OAUTHBEARER', `n,a=${user},\x01auth=Bearer ${token}\x01`],
    ['OAUTHBEARER', `n,a=${user},\x01auth=Bearer two words\x01\x01`],
    ['OAUTHBEARER', `p=tls-exporter,,\x01auth=Bearer ${token}\x01\x01`],
    ['XOAUTH2', `n,a=${user},\x01auth=Bearer ${token}\x01\x01`],
    ['XOAUTH2', `user=${user}`],
  ] as const)('H13 %s does not read %j', async (mechanism, message) => {
    expect(await login(config, mechanism, Buffer.from(message))).toEqual(['syntax'])
  })

  it('RFC 7628 §4: is offered over TLS only, and where there is somebody to ask', () => {
    const offered = (overrides: ConfigOverrides, over: Channel | undefined) =>
      offerOf(configOf(overrides), over).mechanisms.filter((name) => name.includes('OAUTH'))
    expect(offered(config, channel)).toEqual(['OAUTHBEARER', 'XOAUTH2'])
    expect(offered(config, undefined)).toEqual([])
    expect(offered({}, channel)).toEqual([])
  })
})

describe('a token that is a JWT', () => {
  const config = {
    login_oauth_jwks: 'https://login.example/keys',
    login_oauth_issuer: 'https://login.example',
    login_oauth_audience: 'mail',
  }
  const make = async () => {
    const { privateKey, publicKey } = await generateKeyPair('ES256')
    const key = { ...(await exportJWK(publicKey)), kid: '1', alg: 'ES256' }
    const sign = (claims: Record<string, unknown>) =>
      new SignJWT({
        iss: config.login_oauth_issuer,
        aud: 'mail',
        exp: Math.floor(Date.now() / 1000) + 300,
        email: user,
        ...claims,
      })
        .setProtectedHeader({ alg: 'ES256', kid: '1' })
        .sign(privateKey)
    return { key, sign }
  }
  const by = (jwt: string) => login(config, 'OAUTHBEARER', Buffer.from(`n,,\x01auth=Bearer ${jwt}\x01\x01`))
  const keys = (...set: readonly object[]) => nock('https://login.example').get('/keys').reply(200, { keys: set })

  it('RFC 7517 lets its user in', async () => {
    const { key, sign } = await make()
    keys(key)
    expect(await by(await sign({}))).toEqual([user])
  })

  it.each([
    { aud: 'calendar' },
    { iss: 'https://elsewhere.example' },
    { exp: Math.floor(Date.now() / 1000) - 120 },
    { exp: undefined },
    { nbf: Math.floor(Date.now() / 1000) + 600 },
    { email: undefined },
  ])('refuses one with %j', async (claims) => {
    const { key, sign } = await make()
    keys(key)
    expect(await by(await sign(claims))).toEqual(invalid)
  })

  it('refuses what another key signed, nobody signed, or the public key was abused for', async () => {
    const [one, other] = [await make(), await make()]
    keys(one.key)
    expect(await by(await other.sign({}))).toEqual(invalid)
    const unsigned = (await one.sign({})).split('.')
    unsigned[0] = Buffer.from('{"alg":"none"}').toString('base64url')
    expect(await by(`${unsigned[0]}.${unsigned[1]}.`)).toEqual(invalid)
    const mac = new SignJWT({ email: user }).setProtectedHeader({ alg: 'HS256', kid: '1' })
    expect(await by(await mac.sign(Buffer.from(JSON.stringify(one.key))))).toEqual(invalid)
    expect(await by('no-jwt')).toEqual(invalid)
  })

  it('is no wrong password where the keys can not be had', async () => {
    const { sign } = await make()
    nock('https://login.example').get('/keys').reply(503)
    expect(await by(await sign({}))).toEqual(['unavailable'])
  })

  it('is taken only with an issuer and an audience', () => {
    const faults = (overrides: ConfigOverrides) => checkRelations(configOf(overrides)).map(({ message }) => message)
    expect(faults(config)).toEqual([])
    expect(faults({ ...config, login_oauth_audience: undefined })).toEqual([
      'needs login_oauth_audience, or tokens for other services would be taken',
    ])
    expect(faults({ ...config, login_oauth_introspection: 'https://x' })).toEqual([expect.stringContaining('two ways')])
  })
})

it.each(['OAUTHBEARER', 'XOAUTH2'])('curl logs in by %s', async (mechanism) => {
  nock.enableNetConnect()
  const provider = createServer((request, response) => {
    let body = ''
    request.on('data', (piece) => {
      body += piece
    })
    request.on('end', () => {
      response.end(JSON.stringify({ active: new URLSearchParams(body).get('token') === token, email: user }))
    })
  }).listen(0, '127.0.0.1')
  await once(provider, 'listening')
  using made = certificates()
  made.make('server')
  await using imapd = await startImapd([user], {
    tls_cert_file: made.path('server.pem'),
    tls_key_file: made.path('server.key'),
    login_oauth_introspection: `http://127.0.0.1:${(provider.address() as AddressInfo).port}/`,
  })
  const curl = (secret: string) =>
    runClient('curl', [
      ...['-svk', '--ssl-reqd', '--login-options', `AUTH=${mechanism}`, '--user', user, '--oauth2-bearer', secret],
      `imap://127.0.0.1:${imapd.port}`,
    ])
  try {
    expect((await curl(token)).said).toContain('* LIST (\\HasNoChildren) "/" INBOX')
    const { said } = await curl('another')
    expect(said).toContain(`+ ${Buffer.from('{"status":"invalid_token"}').toString('base64')}`)
    expect(said).toContain('NO [AUTHENTICATIONFAILED]')
  } finally {
    provider.close()
  }
})
