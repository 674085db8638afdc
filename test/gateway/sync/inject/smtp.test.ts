import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, vi } from 'vitest'
import { smtpInjection } from '#gateway/sync/inject/smtp.ts'
import { systemClock } from '#src/base/clock.ts'
import { RemoteError } from '#src/base/errors.ts'
import type { Store } from '#src/store/types.ts'
import { Submission } from '#src/submission/submission.ts'
import { deliverTo } from '#test/support/deliver-to.ts'
import { startExim } from '#test/support/exim.ts'
import { scriptedPop3 } from '#test/support/pop3-script.ts'
import { scriptedSmtp } from '#test/support/smtp-script.ts'
import { backendAt, clientExpunges, contents, Syncer, testStore, userId, withMailbox } from '../support.ts'

const octets = (n: number) =>
  Buffer.from(
    `Date: Tue, 14 Nov 2023 22:13:20 +0000\r\nSubject: ${n}\r\n\r\n.dot ${n}\r\n..\r\n.\r\ngr\xfc\xdfe\r\n`,
    'latin1',
  )
const maildrop = (count: number) =>
  scriptedPop3({ messages: Array.from({ length: count }, (_, n) => ({ uidl: `u${n}`, octets: octets(n) })) })
const submissionTo = (port: number) => ({
  submission: new Submission({ host: '127.0.0.1', port, connectMs: 2_000, idleMs: 2_000 }),
  sender: 'mssync@example.org',
})

const gatewayWith = (store: Store, pop3Port: number, smtpPort: number) => {
  const syncer = new Syncer(store, backendAt(pop3Port))
  // Of a host that is new, messages are asked for one by one.
  syncer.access.profiles.of('127.0.0.1', pop3Port).learned.afterRetrieve = 'keeps'
  const injection = smtpInjection(submissionTo(smtpPort), systemClock)
  return { sync: (policy = {}) => syncer.sync(policy, { injection }) }
}

const comesBack = (store: Store, message: string) =>
  deliverTo(store, store.account(userId), Buffer.from(message, 'latin1'))
const subjects = async (store: Store) =>
  (await contents(store)).map((message) => /^Subject: (.*)\r$/m.exec(message.toString('latin1'))?.[1])

describe('GW-23: with a real mail server', () => {
  it('every message goes there once, comes back as itself, and is deleted at the backend when a client deletes it', async () => {
    await using backend = await maildrop(6)
    await using exim = await startExim({ tls: true })
    await using test = await testStore()
    const gateway = gatewayWith(test.store, backend.port, exim.port)
    expect(await gateway.sync()).toMatchObject({ listed: 6, fetched: 6, failed: 0 })
    expect(await contents(test.store)).toEqual([])
    // On their way: not fetched again, and whatever happens in between takes nothing away.
    expect(await gateway.sync({ fetchLastN: 2 })).toMatchObject({ listed: 6, fetched: 0, deletedThere: 0 })
    const returned = await vi.waitFor(
      async () => {
        const delivered = await exim.delivered()
        expect(delivered).toHaveLength(6)
        return delivered
      },
      { timeout: 30_000 },
    )
    expect(returned.every((message) => message.includes('Return-path: <mssync@example.org>'))).toBe(true)
    expect(returned.every((message) => message.includes(`Envelope-to: ${userId}`))).toBe(true)
    expect(await exim.log()).toContain('P=esmtps')
    for (const message of returned) await comesBack(test.store, message.toString('latin1'))
    expect((await subjects(test.store)).sort()).toEqual(['0', '1', '2', '3', '4', '5'])
    for (const message of await contents(test.store)) {
      expect(message.toString('latin1')).toMatch(/\r\n\r\n\.dot \d\r\n\.\.\r\n\.\r\ngr\xfc\xdfe\r\n$/)
      expect(message.includes('Received: from')).toBe(true)
      expect(message.includes('Injected')).toBe(false)
    }
    await withMailbox(test.store, async ({ messages }) => {
      expect([...messages].map(({ internalDate }) => internalDate)).toEqual(Array(6).fill(1_700_000_000))
      expect([...messages].map(({ uidl }) => uidl).sort()).toEqual(['u0', 'u1', 'u2', 'u3', 'u4', 'u5'])
    })
    expect(await gateway.sync()).toMatchObject({ listed: 6, fetched: 0, expungedHere: 0 })
    await clientExpunges(test.store, ({ uidl }) => uidl === 'u3')
    expect(await gateway.sync()).toMatchObject({ deletedThere: 1, fetched: 0 })
    expect(await gateway.sync()).toMatchObject({ listed: 5, deletedThere: 0, fetched: 0 })
    // GW-20, GW-21: what fetch_last_n pushes out stays at the backend.
    expect(await gateway.sync({ fetchLastN: 2 })).toMatchObject({ listed: 5, pushedOut: 3 })
    // The backend's own deletions are believed as for any other message.
    backend.messages.splice(4, 1)
    expect(await gateway.sync({ fetchLastN: 2 })).toMatchObject({ listed: 4, expungedHere: 1, fetched: 1 })
  }, 60_000)

  it('a message too large for it is not lost without a word', async () => {
    await using backend = await scriptedPop3({
      messages: [
        {
          uidl: 'large',
          octets: Buffer.from(
            `From: bea@example.org\r\nSubject: large\r\n\r\n${'x'.repeat(70)}\r\n`.padEnd(90_000, 'text\r\n'),
          ),
        },
        { uidl: 'small', octets: octets(1) },
      ],
    })
    await using exim = await startExim({ sizeLimit: '50K' })
    await using test = await testStore()
    const gateway = gatewayWith(test.store, backend.port, exim.port)
    expect(await gateway.sync()).toMatchObject({ fetched: 2, failed: 0 })
    const [notice] = await contents(test.store)
    expect(notice!.toString()).toMatch(/^Date: .*\r\nFrom: bea@example.org\r\nSubject: \[refused\] large\r\n/)
    expect(notice!.toString()).toMatch(/Message size larger than allowed/)
    expect(await gateway.sync()).toMatchObject({ listed: 2, fetched: 0, deletedThere: 0 })
  }, 60_000)
})

describe('GW-23: what a submission server may do', () => {
  it('it knows nothing but RFC 821', async () => {
    await using backend = await maildrop(3)
    await using server = await scriptedSmtp({ extensions: undefined })
    await using test = await testStore()
    expect(await gatewayWith(test.store, backend.port, server.port).sync()).toMatchObject({ fetched: 3 })
    expect(server.messages.map((message) => message.slice(message.indexOf('Date:')))).toEqual(
      [0, 1, 2].map((n) => octets(n).toString('latin1')),
    )
  })

  it('one message is refused for good: a stub with its words is in its place while it is there, and it is not submitted again', async () => {
    await using backend = await maildrop(4)
    await using server = await scriptedSmtp()
    server.on('.', ({ message }) => (message.includes('Subject: 2\r\n') ? '554 5.7.1 a virus\x07\r\n' : '250 ok\r\n'))
    await using test = await testStore()
    const gateway = gatewayWith(test.store, backend.port, server.port)
    expect(await gateway.sync()).toMatchObject({ fetched: 4, failed: 0 })
    const [notice, ...more] = await contents(test.store)
    expect(more).toEqual([])
    expect(notice!.toString()).toMatch(/Subject: \[refused\] 2\r\n[\s\S]*\r\n {4}554 5\.7\.1 a virus ?\r\n/)
    expect(await gateway.sync()).toMatchObject({ fetched: 0, deletedThere: 0 })
    expect(server.messages).toHaveLength(4)
    for (const message of server.messages.filter((message) => !message.includes('Subject: 2')))
      await comesBack(test.store, message)
    expect((await subjects(test.store)).sort()).toEqual(['0', '1', '3', '[refused] 2'])
    backend.messages = backend.messages.filter((_, index) => index !== 2)
    expect(await gateway.sync()).toMatchObject({ listed: 3, fetched: 0, expungedHere: 0, deletedThere: 0 })
    expect((await subjects(test.store)).sort()).toEqual(['0', '1', '3'])
  })

  it('one message is refused for now: it is asked for again, the others are taken', async () => {
    await using backend = await maildrop(4)
    await using server = await scriptedSmtp()
    server.on('.', ({ message }) =>
      message.includes('Subject: 2\r\n') ? '451 4.7.1 scanner is busy\r\n' : '250 ok\r\n',
    )
    await using test = await testStore()
    const gateway = gatewayWith(test.store, backend.port, server.port)
    expect(await gateway.sync()).toMatchObject({ fetched: 3, failed: 1 })
    server.on('.', undefined)
    expect(await gateway.sync()).toMatchObject({ fetched: 1, failed: 0 })
    expect(await gateway.sync()).toMatchObject({ fetched: 0, failed: 0 })
  })

  it.each([
    ['MAIL', '451 4.3.2 shutting down\r\n'],
    ['RCPT', '450 4.2.0 greylisted\r\n'],
    ['RCPT', '550 5.1.1 unknown user\r\n'],
    ['GREETING', '554 5.7.1 not you\r\n'],
  ])('%s is answered with %s: nothing is fetched for nothing, and all of it later', async (word, reply) => {
    await using backend = await maildrop(50)
    await using server = await scriptedSmtp()
    server.on(word, () => reply)
    await using test = await testStore()
    const gateway = gatewayWith(test.store, backend.port, server.port)
    const error = await gateway.sync().catch((error: unknown) => error)
    expect(error).toBeInstanceOf(RemoteError)
    expect((error as Error).message).toContain('submit_host')
    expect(server.messages).toEqual([])
    expect(await contents(test.store)).toEqual([])
    server.on(word, undefined)
    expect(await gateway.sync()).toMatchObject({ failed: 0 })
    expect(server.messages).toHaveLength(50)
  })

  it('it is not there', async () => {
    await using backend = await maildrop(50)
    let port = 0
    {
      await using gone = await scriptedSmtp()
      port = gone.port
    }
    await using test = await testStore()
    await expect(gatewayWith(test.store, backend.port, port).sync()).rejects.toThrow(/takes no mail now/)
  })

  it('it ends the connection between two messages: they go over another one', async () => {
    await using backend = await maildrop(3)
    await using server = await scriptedSmtp()
    await using test = await testStore()
    const gateway = gatewayWith(test.store, backend.port, server.port)
    expect(await gateway.sync()).toMatchObject({ fetched: 3 })
    server.on('MAIL', ({ session, socket }) => {
      if (session > before) return '250 ok\r\n'
      socket.destroy()
      return undefined
    })
    const before = server.sessions
    backend.messages.push({ uidl: 'new', octets: octets(9) })
    expect(await gateway.sync()).toMatchObject({ fetched: 1, failed: 0 })
    expect(server.sessions).toBeGreaterThan(before)
  })

  it.each(['DATA', '.'])(
    'it ends the connection at %s: submitted again, and what comes back is shown once',
    async (word) => {
      await using backend = await maildrop(3)
      await using server = await scriptedSmtp()
      server.on(word, ({ socket }) => {
        socket.destroy()
        return undefined
      })
      await using test = await testStore()
      const gateway = gatewayWith(test.store, backend.port, server.port)
      await expect(gateway.sync()).rejects.toThrow(RemoteError)
      server.on(word, undefined)
      expect(await gateway.sync()).toMatchObject({ failed: 0 })
      for (const message of server.messages) await comesBack(test.store, message)
      expect((await subjects(test.store)).sort()).toEqual(['0', '1', '2'])
      expect(await gateway.sync()).toMatchObject({ fetched: 0, expungedHere: 0 })
    },
  )

  it('it is slow: no more messages are held than the few that are under way', async () => {
    await using backend = await maildrop(200)
    await using server = await scriptedSmtp()
    const waiting: (() => void)[] = []
    server.on('.', () => new Promise((resolve) => void waiting.push(() => resolve('250 ok\r\n'))))
    await using test = await testStore()
    const done = gatewayWith(test.store, backend.port, server.port).sync()
    await vi.waitFor(() => expect(waiting).toHaveLength(8), { timeout: 10_000 })
    expect(server.messages).toHaveLength(8)
    server.on('.', undefined)
    for (const go of waiting) go()
    expect(await done).toMatchObject({ fetched: 200 })
  })
})

it('GW-23: killed when the server has a message and nobody remembers that, it is submitted again and shown once', async () => {
  await using backend = await maildrop(5)
  await using server = await scriptedSmtp()
  const root = await mkdtemp(join(tmpdir(), 'submitting-'))
  try {
    const run = () =>
      spawn(
        process.execPath,
        [join(import.meta.dirname, 'submitting-sync.ts'), String(backend.port), root, String(server.port)],
        { stdio: 'inherit' },
      )
    const first = run()
    server.on('.', ({ message }) => {
      if (!message.includes('Subject: 3\r\n')) return '250 ok\r\n'
      first.kill('SIGKILL')
      return undefined
    })
    await once(first, 'exit')
    server.on('.', undefined)
    const [code] = await once(run(), 'exit')
    expect(code).toBe(0)
    expect(server.messages.filter((message) => message.includes('Subject: 3\r\n'))).toHaveLength(2)
    await using test = await testStore(root)
    for (const message of server.messages) await comesBack(test.store, message)
    expect((await subjects(test.store)).sort()).toEqual(['0', '1', '2', '3', '4'])
  } finally {
    await rm(root, { recursive: true, force: true })
  }
})
