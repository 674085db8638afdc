/**
 * A first pull that takes longer than many tokens live, from a real Dovecot that asks the provider about each, behind a link that is slow and ends every
 * connection when the token that it may have been opened with is over, as Exchange does.
 *
 *     node test/gateway/sync/slow-pull.ts [pop|imap] [seconds of a token] [seconds of the pull]
 */
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { createServer, connect as tcpConnect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { BackendError } from '#gateway/backend/errors.ts'
import { BackendTokens } from '#gateway/backend/tokens.ts'
import { defaultLimits } from '#gateway/backend/types.ts'
import { systemClock } from '#src/base/clock.ts'
import { configOf } from '#src/config/config.ts'
import { openConsents } from '#src/oauth/consents.ts'
import { startDovecot } from '#test/support/dovecot.ts'
import { startTokenProvider } from '#test/support/token-provider.ts'
import { backendAt, contents, Syncer, testStore } from './support.ts'

export interface Pull {
  readonly protocol: 'pop' | 'imap'
  readonly tokenSeconds: number
  /** About, and rather less: an IMAP session has two connections, and each may have what the link lets through. */
  readonly pullSeconds: number
}

export interface Pulled {
  readonly seconds: number
  readonly sessions: number
  readonly tokens: number
  readonly messages: number
  readonly missing: number
  readonly doubled: number
}

const count = 240
const bodyOctets = 4_000
const message = (n: number) => Buffer.from(`Subject: ${n}\r\n\r\n${`message ${n} `.padEnd(bodyOctets, 'x')}\r\n`)

/** Passes so many octets a second on in each connection, and ends it after so many seconds. */
const slowLink = async (port: number, octetsPerSecond: number, seconds: number) => {
  const server = createServer((client) => {
    const backend = tcpConnect(port, '127.0.0.1')
    const end = setTimeout(() => client.destroySoon(), seconds * 1_000)
    backend.on('data', (chunk) => {
      client.write(chunk)
      backend.pause()
      setTimeout(() => backend.resume(), (chunk.length / octetsPerSecond) * 1_000)
    })
    client.on('data', (chunk) => backend.write(chunk))
    for (const [one, other] of [
      [client, backend],
      [backend, client],
    ] as const) {
      one.on('error', () => {})
      one.on('close', () => {
        clearTimeout(end)
        other.destroy()
      })
    }
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return { port: (server.address() as { port: number }).port, [Symbol.dispose]: () => void server.close() }
}

/** Throws when a session ends otherwise than with its connection, or far more of them are needed than tokens live. */
export const slowPull = async ({ protocol, tokenSeconds, pullSeconds }: Pull): Promise<Pulled> => {
  await using provider = await startTokenProvider('anna')
  provider.lifetime = tokenSeconds
  const directory = await mkdtemp(join(tmpdir(), 'slow-pull-'))
  await using dovecot = await startDovecot({
    users: { anna: 'unused' },
    protocols: ['pop3', 'imap'],
    tls: true,
    extra: provider.dovecot,
  })
  const all = Array.from({ length: count }, (_, n) => message(n))
  await dovecot.fill('anna', all)
  const octets = all.reduce((sum, { length }) => sum + length, 0)
  const port = protocol === 'pop' ? dovecot.pop3Port : dovecot.imapPort
  using link = await slowLink(port, octets / pullSeconds, tokenSeconds)
  await using test = await testStore()

  const consents = await openConsents(configOf({ oauth_state: join(directory, 'oauth') }))
  await consents.keep({ provider: 'p', user: 'anna' }, provider.refreshToken!)
  // The provider's time is that of this machine.
  let told = performance.now()
  const tick = () => {
    const now = performance.now()
    provider.goOn((now - told) / 1_000)
    told = now
  }
  const ticking = setInterval(tick, 20)
  const record = { line: 1, name: 'p', clientId: 'i', clientSecret: 's', tokenEndpoint: provider.tokenEndpoint }
  const gateway = new Syncer(
    test.store,
    backendAt(link.port, {
      protocol,
      mailbox: protocol === 'pop' ? 'INBOX' : '',
      startTls: 'required',
      auth: 'oauth',
      service: { type: 'token', provider: { ...record, grant: 'user' } },
    }),
    {
      tokens: new BackendTokens(consents, { ...systemClock, monotonic: () => provider.now() }),
      limits: defaultLimits,
      trust: { ca: await readFile(dovecot.certificateFile!, 'utf8') },
    },
  )
  const began = performance.now()
  let sessions = 0
  try {
    const most = 10 * Math.ceil(pullSeconds / tokenSeconds)
    for (let isDone = false; !isDone; ) {
      if (++sessions > most) throw new Error(`${sessions} sessions, and it is not complete`)
      isDone = await gateway.sync({}, { password: undefined }).then(
        ({ failed }) => failed === 0,
        (error: unknown) => {
          if (error instanceof BackendError && error.kind === 'closed') return false
          throw error
        },
      )
      // What was arriving when a session ended waits for its turn.
      const hours = sessions
      gateway.clock = { ...systemClock, now: () => Date.now() + hours * 3_600_000 }
    }
    const seconds = (performance.now() - began) / 1_000
    const wanted = new Set(all.map(String))
    const got = (await contents(test.store)).map(String)
    const distinct = new Set(got)
    return {
      seconds,
      sessions,
      tokens: provider.given.length,
      messages: got.length,
      missing: [...wanted].filter((text) => !distinct.has(text)).length,
      doubled: got.length - distinct.size,
    }
  } finally {
    clearInterval(ticking)
    await rm(directory, { recursive: true })
  }
}

if (import.meta.main) {
  const [protocol = 'imap', tokenSeconds = '60', pullSeconds = '720'] = process.argv.slice(2)
  if (protocol !== 'pop' && protocol !== 'imap') throw new Error(`${protocol} is neither pop nor imap`)
  const pulled = await slowPull({ protocol, tokenSeconds: Number(tokenSeconds), pullSeconds: Number(pullSeconds) })
  console.log(
    `${protocol}: ${pulled.messages} messages in ${Math.round(pulled.seconds)} s, ${pulled.sessions} sessions, ${pulled.tokens} tokens of ${tokenSeconds} s, ${pulled.missing} missing, ${pulled.doubled} twice`,
  )
  process.exit(pulled.missing + pulled.doubled === 0 && pulled.messages === count ? 0 : 1)
}
