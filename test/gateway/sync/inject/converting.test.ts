import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { describe, expect, it, vi } from 'vitest'
import { defaultLimits } from '#gateway/backend/types.ts'
import { injectionOf } from '#gateway/ms_syncd/injection.ts'
import { ContentChecker } from '#gateway/sync/inject/cccp.ts'
import { convertingInjection } from '#gateway/sync/inject/converting.ts'
import { directInjection } from '#gateway/sync/inject/direct.ts'
import { systemClock } from '#src/base/clock.ts'
import { RemoteError } from '#src/base/errors.ts'
import { type ConfigOverrides, configOf } from '#src/config/config.ts'
import type { Store } from '#src/store/types.ts'
import { startDovecot } from '#test/support/dovecot.ts'
import { freePort } from '#test/support/free-port.ts'
import { type ScriptedMessage, scriptedPop3 } from '#test/support/pop3-script.ts'
import { scriptedSmtp } from '#test/support/smtp-script.ts'
import { backendAt, clientExpunges, contents, Syncer, testStore, withMailbox } from '../support.ts'

const date = 'Date: Tue, 14 Nov 2023 22:13:20 +0000\r\n'
const octets = (n: number, more = '') =>
  Buffer.from(`${date}From: bea@example.org\r\nSubject: ${n}\r\n\r\n${n}${more}\r\n`)
const messages = (count: number): ScriptedMessage[] =>
  Array.from({ length: count }, (_, n) => ({ uidl: `u${n}`, octets: octets(n) }))

interface Filter extends AsyncDisposable {
  readonly port: number
  readonly asked: { readonly headers: IncomingMessage['headers']; readonly message: string }[]
  connections: number
}
type Answer = (message: string, response: ServerResponse) => void

const filter = async (answer: Answer, port = 0): Promise<Filter> => {
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk)
    const message = Buffer.concat(chunks).toString('latin1')
    made.asked.push({ headers: request.headers, message })
    answer(message, response)
  })
  server.on('connection', () => made.connections++)
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  const made: Filter = {
    port: (server.address() as { port: number }).port,
    asked: [],
    connections: 0,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
  return made
}
const unchanged: Answer = (_, response) => void response.writeHead(204).end()
const replaced = (response: ServerResponse, message: string) =>
  response.writeHead(200, { 'Content-Type': 'message/rfc822' }).end(message)

const gatewayWith = (store: Store, pop3Port: number, overrides: ConfigOverrides) => {
  const syncer = new Syncer(store, backendAt(pop3Port))
  // Of a host that is new, messages are asked for one by one.
  syncer.access.profiles.of('127.0.0.1', pop3Port).learned.afterRetrieve = 'keeps'
  const injection = injectionOf(configOf({ cccp_host: '127.0.0.1', ...overrides }), systemClock)
  return { sync: (policy = {}) => syncer.sync(policy, { injection }) }
}
const texts = async (store: Store) => (await contents(store)).map((message) => message.toString('latin1'))

describe('GW-24: a content checking server', () => {
  it('the filter of docs/cccp.md, with Dovecot as the backend', async () => {
    const page = await readFile(resolve(import.meta.dirname, '../../../../docs/cccp.md'), 'utf8')
    const program = /```js\n([\s\S]*?)```/.exec(page)![1]!
    const directory = await mkdtemp(join(tmpdir(), 'cccp-'))
    const port = await freePort()
    await writeFile(join(directory, 'filter.mjs'), program)
    const child = spawn(process.execPath, [join(directory, 'filter.mjs'), String(port)], { stdio: 'inherit' })
    try {
      await vi.waitFor(
        async () => {
          const socket = connect(port, '127.0.0.1')
          await once(socket, 'connect')
          socket.destroy()
        },
        { timeout: 20_000 },
      )
      await using dovecot = await startDovecot({ users: { anna: 'pw' }, protocols: ['pop3'] })
      const exe = octets(2, '\r\nContent-Disposition: attachment; filename=a.exe')
      await dovecot.fill('anna', [octets(0), octets(1, ' http://example.org/'), exe, octets(3)])
      await using test = await testStore()
      const backend = backendAt(dovecot.pop3Port)
      const gateway = new Syncer(test.store, backend, { limits: defaultLimits })
      const injection = injectionOf(configOf({ cccp_host: '127.0.0.1', cccp_port: port }), systemClock)
      expect(await gateway.sync({}, { injection })).toMatchObject({ fetched: 4, failed: 0 })
      const [first, second, stub, fourth] = await texts(test.store)
      expect([first, fourth]).toEqual([octets(0).toString(), octets(3).toString()])
      expect(second).toBe(`X-Checked: has links\r\n${octets(1, ' http://example.org/')}`)
      expect(stub).toMatch(/^Date: .*\r\nFrom: bea@example.org\r\nSubject: \[refused\] 2\r\n/)
      expect(stub).toContain('\r\n    Programs are not taken here.\r\n')
      await withMailbox(test.store, async ({ messages }) =>
        expect([...messages].map(({ internalDate }) => internalDate)).toEqual(Array(4).fill(1_700_000_000)),
      )
      expect(await gateway.sync({}, { injection })).toMatchObject({ fetched: 0, expungedHere: 0 })
      // The stub tells of a message that nobody has seen: deleting it deletes nothing there.
      await clientExpunges(test.store, ({ uid }) => uid === 3)
      for (let round = 0; round < 2; round++)
        expect(await gateway.sync({}, { injection })).toMatchObject({ listed: 4, fetched: 0, deletedThere: 0 })
      expect(await contents(test.store)).toHaveLength(3)
      await clientExpunges(test.store, ({ uid }) => uid === 2)
      expect(await gateway.sync({}, { injection })).toMatchObject({ deletedThere: 1 })
    } finally {
      child.kill()
      await rm(directory, { recursive: true })
    }
  }, 60_000)

  it('is told whose message it is; asks go side by side over connections that are kept, mail is stored in order', async () => {
    await using backend = await scriptedPop3({ messages: messages(60) })
    const waiting: (() => void)[] = []
    await using asked = await filter((message, response) => {
      if (message.includes('Subject: 0\r\n')) waiting.push(() => replaced(response, `X-Late: yes\r\n${message}`))
      else unchanged(message, response)
    })
    await using test = await testStore()
    const done = gatewayWith(test.store, backend.port, { cccp_port: asked.port }).sync()
    // The others overtake the first one, up to what is under way at a time.
    await vi.waitFor(() => expect(asked.asked).toHaveLength(8), { timeout: 10_000 })
    expect(await contents(test.store)).toEqual([])
    waiting[0]!()
    expect(await done).toMatchObject({ fetched: 60 })
    expect((await texts(test.store)).map((message) => Number(/Subject: (\d+)/.exec(message)![1]))).toEqual(
      Array.from({ length: 60 }, (_, n) => n),
    )
    expect((await texts(test.store))[0]).toMatch(/^X-Late: yes\r\n/)
    expect(asked.connections).toBeLessThanOrEqual(8)
    expect(asked.asked.find(({ message }) => message === octets(7).toString())?.headers).toMatchObject({
      'content-type': 'message/rfc822',
      'content-length': String(octets(7).length),
      'wherry-user': 'anna@example.org',
      'wherry-origin': expect.stringMatching(/^pop:\/\/.*u:u7$/),
      'wherry-mailbox': 'INBOX',
    })
  })

  const undecided: [string, Answer][] = [
    ['another status', (_, response) => void response.writeHead(500).end('no memory')],
    ['another type', (_, response) => void response.writeHead(200, { 'Content-Type': 'text/html' }).end('<p>')],
    ['an empty message', (_, response) => void replaced(response, '')],
    ['a message that is too large', (_, response) => void replaced(response, 'x'.repeat(3_000))],
    [
      'an answer that is cut off',
      (_, response) => {
        response.writeHead(200, { 'Content-Type': 'message/rfc822', 'Content-Length': 100 }).write('Subject')
        setImmediate(() => response.destroy())
      },
    ],
    ['no answer in time', () => {}],
    ['a broken connection', (_, response) => void response.destroy()],
  ]
  it.each(undecided)('%s decides nothing: hold asks again later, pass lets the message through', async (_, answer) => {
    await using backend = await scriptedPop3({ messages: messages(3) })
    let isIll = true
    await using asked = await filter((message, response) =>
      isIll && message.includes('Subject: 1\r\n') ? answer(message, response) : unchanged(message, response),
    )
    const options = { cccp_port: asked.port, cccp_timeout: 1, cccp_max_size: 2 }
    await using held = await testStore()
    const holding = gatewayWith(held.store, backend.port, options)
    expect(await holding.sync()).toMatchObject({ fetched: 2, failed: 1 })
    expect(await texts(held.store)).toEqual([octets(0), octets(2)].map(String))
    await using passed = await testStore()
    const passing = gatewayWith(passed.store, backend.port, { ...options, cccp_failure: 'pass' })
    expect(await passing.sync()).toMatchObject({ fetched: 3, failed: 0 })
    expect(await texts(passed.store)).toEqual([0, 1, 2].map((n) => octets(n).toString()))
    isIll = false
    expect(await holding.sync()).toMatchObject({ fetched: 1, failed: 0 })
    expect((await texts(held.store)).sort()).toEqual([0, 1, 2].map((n) => octets(n).toString()))
  })

  it('it is not there: hold fetches nothing for nothing, pass goes on', async () => {
    await using backend = await scriptedPop3({ messages: messages(50) })
    const cccp_port = await freePort()
    await using held = await testStore()
    const error = await gatewayWith(held.store, backend.port, { cccp_port })
      .sync()
      .catch((error: unknown) => error)
    expect(error).toBeInstanceOf(RemoteError)
    expect((error as Error).message).toMatch(/content checking server .* \(cccp_host, cccp_port\): .*ECONNREFUSED/)
    await using passed = await testStore()
    const gateway = gatewayWith(passed.store, backend.port, { cccp_port, cccp_failure: 'pass' })
    expect(await gateway.sync()).toMatchObject({ fetched: 50 })
  })

  it('a message that is too large to be asked about is not lost without a word', async () => {
    const large = octets(1, 'x'.repeat(300_000))
    await using backend = await scriptedPop3({
      messages: [
        { uidl: 'a', octets: large },
        { uidl: 'b', octets: octets(2) },
      ],
    })
    await using asked = await filter(unchanged)
    await using test = await testStore()
    const gateway = gatewayWith(test.store, backend.port, { cccp_port: asked.port, cccp_max_size: 100 })
    expect(await gateway.sync()).toMatchObject({ fetched: 2, failed: 0 })
    expect((await texts(test.store))[0]).toMatch(/\[refused\] 1[\s\S]*cccp_max_size/)
    expect(asked.asked).toHaveLength(1)
    await using wide = await testStore()
    await gatewayWith(wide.store, backend.port, { cccp_port: asked.port }).sync()
    // Through a file on the way, as it is larger than what is kept in memory.
    expect((await contents(wide.store))[0]).toEqual(large)
    expect(asked.asked.some(({ message }) => message === large.toString())).toBe(true)
  })

  it('a server that ends a kept connection costs nothing', async () => {
    await using backend = await scriptedPop3({ messages: messages(2) })
    await using test = await testStore()
    let isFirst = true
    await using asked = await filter((message, response) => {
      if (!isFirst) return unchanged(message, response)
      isFirst = false
      // Closed as soon as the next request comes.
      response.socket!.on('data', () => response.socket?.destroy())
      unchanged(message, response)
    })
    const checker = new ContentChecker({ host: '127.0.0.1', port: asked.port, timeoutMs: 5_000, maxOctets: 100_000 })
    const injection = convertingInjection({ checker, isFailOpen: false }, directInjection(systemClock), systemClock)
    const gateway = new Syncer(test.store, backendAt(backend.port))
    expect(await gateway.sync({}, { injection })).toMatchObject({ fetched: 2, failed: 0 })
  })

  it('copies without unique-ids are told apart by what the backend has, not by what is stored (0086)', async () => {
    const copies = ['one', 'two', 'three'].map((body) => Buffer.from(`${date}Subject: same\r\n\r\n${body}\r\n`))
    await using backend = await scriptedPop3({ messages: copies.map((octets) => ({ uidl: '', octets })) })
    backend.on('UIDL', () => '-ERR unknown command\r\n')
    await using asked = await filter((message, response) => void replaced(response, `X-Checked: yes\r\n${message}`))
    await using test = await testStore()
    const gateway = gatewayWith(test.store, backend.port, { cccp_port: asked.port })
    expect(await gateway.sync()).toMatchObject({ fetched: 3 })
    await gateway.sync()
    await clientExpunges(test.store, ({ uid }) => uid === 2)
    expect(await gateway.sync()).toMatchObject({ deletedThere: 1, fetched: 0 })
    expect(backend.messages.map(({ octets }) => octets)).toEqual([copies[0], copies[2]])
    expect(await gateway.sync()).toMatchObject({ listed: 2, fetched: 0, expungedHere: 0, deletedThere: 0 })
    expect(await texts(test.store)).toEqual([copies[0], copies[2]].map((octets) => `X-Checked: yes\r\n${octets}`))
  })

  it('GW-23, GW-24: before a message is submitted', async () => {
    await using backend = await scriptedPop3({ messages: messages(2) })
    await using server = await scriptedSmtp()
    await using asked = await filter((message, response) => void replaced(response, `X-Checked: yes\r\n${message}`))
    await using test = await testStore()
    const gateway = gatewayWith(test.store, backend.port, {
      cccp_port: asked.port,
      smtp_injection: true,
      submit_host: '127.0.0.1',
      submit_port: server.port,
    })
    expect(await gateway.sync()).toMatchObject({ fetched: 2 })
    expect(server.messages.every((message) => message.includes('X-Checked: yes\r\nDate:'))).toBe(true)
    expect(await gateway.sync()).toMatchObject({ fetched: 0 })
  })
})
