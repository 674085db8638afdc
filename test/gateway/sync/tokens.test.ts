/** Backends that take tokens: a real Dovecot, which asks the provider about each. */
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { createServer, connect as tcpConnect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { BackendTokens } from '#gateway/backend/tokens.ts'
import { defaultLimits } from '#gateway/backend/types.ts'
import { type Clock, systemClock } from '#src/base/clock.ts'
import type { Backend } from '#src/config/backends.ts'
import { configOf } from '#src/config/config.ts'
import type { OAuthProviderRecord } from '#src/config/oauth-provider.ts'
import { type Consents, openConsents } from '#src/oauth/consents.ts'
import { type Dovecot, startDovecot } from '#test/support/dovecot.ts'
import { startTokenProvider, type TokenProvider } from '#test/support/token-provider.ts'
import { backendAt, contents, Syncer, testStore } from './support.ts'

const count = 400
const message = (n: number) => Buffer.from(`Subject: ${n}\r\n\r\n${`message ${n} `.repeat(300)}\r\n`)
let provider: TokenProvider
let dovecot: Dovecot
let directory: string
let consents: Consents
let tokens: BackendTokens

beforeAll(async () => {
  provider = await startTokenProvider('anna')
  dovecot = await startDovecot({
    users: { anna: 'unused' },
    protocols: ['pop3', 'imap'],
    tls: true,
    extra: provider.dovecot,
  })
  await dovecot.fill(
    'anna',
    Array.from({ length: count }, (_, n) => message(n)),
  )
})
afterAll(async () => {
  await dovecot.stop()
  await provider[Symbol.asyncDispose]()
})
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tokens-'))
  consents = await openConsents(configOf({ oauth_state: join(directory, 'oauth') }))
  // The provider's time, so that nothing has to be waited for.
  const clock: Clock = { ...systemClock, monotonic: () => provider.now() }
  tokens = new BackendTokens(consents, clock)
  provider.refreshToken = 'refresh-0'
  provider.lifetime = 3600
  await consents.keep({ provider: 'p', user: 'anna' }, 'refresh-0')
})
afterEach(() => rm(directory, { recursive: true }))

const record = (grant: OAuthProviderRecord['grant']): OAuthProviderRecord => ({
  line: 1,
  name: 'p',
  clientId: 'i',
  clientSecret: 's',
  grant,
  tokenEndpoint: provider.tokenEndpoint,
})
const backend = (port: number, changes: Partial<Backend> = {}) =>
  backendAt(port, {
    startTls: 'required',
    auth: 'oauth',
    service: { type: 'token', provider: record('user') },
    ...changes,
  })
const syncer = async (store: Parameters<typeof contents>[0], to: Backend) =>
  new Syncer(store, to, {
    tokens,
    limits: defaultLimits,
    trust: { ca: await readFile(dovecot.certificateFile!, 'utf8') },
  })
const asService = { password: undefined }

/** Passes connections on, and ends each after so many octets from the backend. */
const cutting = async (port: number, octets: number) => {
  const server = createServer((client) => {
    const backend = tcpConnect(port, '127.0.0.1')
    let passed = 0
    backend.on('data', (chunk) => {
      passed += chunk.length
      client.write(chunk)
      if (passed >= octets) client.destroySoon()
    })
    client.on('data', (chunk) => backend.write(chunk))
    for (const [one, other] of [
      [client, backend],
      [backend, client],
    ] as const) {
      one.on('error', () => {})
      one.on('close', () => other.destroy())
    }
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as { port: number }).port,
    [Symbol.asyncDispose]: async () => {
      server.close()
    },
  }
}

describe.each(['oauth', 'xoauth2', 'oauthbearer'] as const)('%s', (auth) => {
  it.each(['pop', 'imap'] as const)('logs in by %s', async (protocol) => {
    await using test = await testStore()
    const port = protocol === 'pop' ? dovecot.pop3Port : dovecot.imapPort
    const gateway = await syncer(
      test.store,
      backend(port, { protocol, auth, mailbox: protocol === 'pop' ? 'INBOX' : '' }),
    )
    await gateway.sync({}, asService)
    expect(await contents(test.store)).toHaveLength(count)
  })
})

it('tokens of a minute, and a pull of ten minutes whose sessions break: complete, and nothing twice', async () => {
  provider.lifetime = 60
  const before = provider.given.length
  await using proxy = await cutting(dovecot.pop3Port, 160_000)
  await using test = await testStore()
  const gateway = await syncer(test.store, backend(proxy.port))
  gateway.clock = { ...systemClock, now: () => provider.now(), monotonic: () => provider.now() }
  let sessions = 0
  for (let done = false; !done; sessions++) {
    expect(sessions).toBeLessThan(40)
    done = await gateway.sync({}, asService).then(
      () => true,
      (error: { kind: string }) => {
        expect(error.kind).toBe('closed')
        return false
      },
    )
    provider.goOn(45)
  }
  // What was arriving whenever a session broke is tried again later, and a stub in its place goes then.
  for (let hour = 0; hour < 2; hour++) {
    provider.goOn(3600)
    await gateway.sync({}, asService)
  }
  const got = (await contents(test.store)).map((octets) => octets.toString()).sort()
  expect(got).toEqual(Array.from({ length: count }, (_, n) => message(n).toString()).sort())
  // Ten minutes went by, and no token outlived its own.
  expect(sessions * 45).toBeGreaterThan(400)
  expect(provider.given.length - before).toBeGreaterThan(6)
  // Each renewal exchanged the refresh token: the last one is on disk.
  expect((await consents.find({ provider: 'p', user: 'anna' }))?.refreshToken).toBe(provider.refreshToken)
})

it('a token that the backend refuses before its time is exchanged once', async () => {
  await using test = await testStore()
  const gateway = await syncer(test.store, backend(dovecot.pop3Port))
  await gateway.sync({}, asService)
  const before = provider.given.length
  // The provider took it back, and our own clock does not know.
  const held = provider.now()
  provider.goOn(4000)
  const late = new BackendTokens(consents, { ...systemClock, monotonic: () => held })
  await late.token(backend(1))
  provider.goOn(4000)
  const again = new Syncer(test.store, backend(dovecot.pop3Port), { ...gateway.access, tokens: late })
  expect(await again.sync({}, asService)).toMatchObject({ listed: count })
  expect(provider.given.length - before).toBe(2)
})

it('a consent that was revoked is a state: nobody asks again until there is another', async () => {
  await using test = await testStore()
  const gateway = await syncer(test.store, backend(dovecot.pop3Port))
  provider.refreshToken = undefined
  for (let session = 0; session < 3; session++)
    await expect(gateway.sync({}, asService)).rejects.toMatchObject({ kind: 'needs-consent' })
  expect(await consents.find({ provider: 'p', user: 'anna' })).toMatchObject({ state: 'needs-consent' })
  provider.refreshToken = 'refresh-1'
  await expect(gateway.sync({}, asService)).rejects.toMatchObject({ kind: 'needs-consent' })
  await consents.keep({ provider: 'p', user: 'anna' }, 'refresh-1')
  expect(await gateway.sync({}, asService)).toMatchObject({ fetched: count })
})

it('a service needs no consent (client credentials)', async () => {
  provider.refreshToken = undefined
  await using test = await testStore()
  const service = { type: 'token', provider: record('service') } as const
  const gateway = await syncer(test.store, backend(dovecot.pop3Port, { service }))
  expect(await gateway.sync({}, asService)).toMatchObject({ fetched: count })
})

it('a password that somebody typed is never sent where tokens are taken, nor a token to prove it', async () => {
  await using test = await testStore()
  const before = provider.given.length
  const gateway = await syncer(test.store, backend(dovecot.pop3Port))
  await expect(gateway.sync()).rejects.toMatchObject({ kind: 'unsupported' })
  expect(provider.given.length).toBe(before)
})
