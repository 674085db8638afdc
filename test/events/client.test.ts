import { createConnection, createServer } from 'node:net'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { RemoteError } from '#src/base/errors.ts'
import { onReplacement } from '#src/events/replacement.ts'
import type { EventBus, MailEvent } from '#src/events/types.ts'
import { encodeHub, PROTOCOL_VERSION } from '#src/events/wire.ts'
import { bus, hub, recordingLog, socketPath } from './support/buses.ts'

/** Subscribes and waits until the subscription is in force. */
const listen = async (client: EventBus, topics: readonly string[]) => {
  const events: MailEvent[] = []
  let gaps = 0
  const stop = client.subscribe(
    topics,
    (event) => events.push(event),
    () => gaps++,
  )
  await vi.waitFor(() => expect(gaps).toBe(1))
  return { events, stop, gaps: () => gaps }
}
const connected = (...clients: EventBus[]) =>
  vi.waitFor(() => expect(clients.every((client) => client.connected)).toBe(true), { timeout: 10_000 })
const mailNew = (user: string): MailEvent => ({ topic: `mbox:${user}`, name: 'mail new', fields: { user, uid: 7 } })

describe('events through mseventd', () => {
  it('reach who subscribed to their topic or to ALL, and nobody else (EVT-01, EVT-15)', async () => {
    const at = await socketPath()
    await hub(at)
    const [sender, joe, ann, all] = [bus(at), bus(at), bus(at), bus(at)]
    const toJoe = await listen(joe, ['mbox:joe@a', 'joe@a'])
    const toAnn = await listen(ann, ['mbox:ann@a'])
    const toAll = await listen(all, ['ALL'])
    await connected(sender)
    sender.publish(mailNew('joe@a'))
    sender.publish(mailNew('ann@a'))
    await vi.waitFor(() => expect(toAll.events).toHaveLength(2))
    await vi.waitFor(() => expect(toAnn.events).toHaveLength(1))
    expect(toJoe.events).toEqual([
      {
        topic: 'mbox:joe@a',
        name: 'mail new',
        fields: { user: 'joe@a', uid: 7, time_stamp: expect.stringMatching(/^\d+\.\d{6}$/) },
      },
    ])
    expect(toAnn.events.map((event) => event.topic)).toEqual(['mbox:ann@a'])
  })

  it('come once when several subscriptions match, not after unsubscribing, and never back to the sender', async () => {
    const at = await socketPath()
    await hub(at)
    const [sender, receiver] = [bus(at), bus(at)]
    const own = await listen(sender, ['ALL'])
    const one = await listen(receiver, ['mbox:joe@a'])
    const two = await listen(receiver, ['mbox:joe@a2', 'ALL'])
    sender.publish(mailNew('joe@a'))
    await vi.waitFor(() => expect(two.events).toHaveLength(1))
    expect(one.events).toHaveLength(1)
    one.stop()
    sender.publish(mailNew('joe@a'))
    await vi.waitFor(() => expect(two.events).toHaveLength(2))
    expect(one.events).toHaveLength(1)
    expect(own.events).toEqual([])
  })

  it('reach who subscribed to their kind', async () => {
    const at = await socketPath()
    await hub(at)
    const [sender, syncd] = [bus(at), bus(at)]
    const { events } = await listen(syncd, ['ms_sync:'])
    await connected(sender)
    for (const topic of ['ms_sync', 'joe@a', 'mbox:joe@a', 'ms_sync:joe@a', 'ms_sync:ann@a'])
      sender.publish({ topic, name: 'sync', fields: {} })
    await vi.waitFor(() => expect(events).toHaveLength(2))
    expect(events.map(({ topic }) => topic)).toEqual(['ms_sync:joe@a', 'ms_sync:ann@a'])
  })

  it('do not go out while mseventd is away, and nothing throws or waits (EVT-02, F24)', async () => {
    const at = await socketPath()
    const log = recordingLog()
    const client = bus(at, 'imapd', log)
    client.publish(mailNew('joe@a'))
    client.announce({ service: 'imap' }).update({ activity: 'idling' })
    client.subscribe(['joe@a'], () => {})()
    client.serve('demo', async () => null)()
    expect(client.connected).toBe(false)
    await expect(client.ask('demo', null, { timeoutMs: 200 })).rejects.toThrow(
      new RegExp(`mseventd at ${at.path} could not be reached within 200 ms: .*ENOENT`),
    )
    expect(log.records.filter((record) => record.severity === 'warning')).toHaveLength(1)
  })

  it('come back by themselves after mseventd restarts: subscriptions, presences, services (EVT-02, F24)', async () => {
    const at = await socketPath()
    const first = await hub(at)
    const [sender, receiver, asker] = [bus(at), bus(at), bus(at)]
    const inbox = await listen(receiver, ['mbox:joe@a'])
    sender.announce({ service: 'imap' })
    sender.announce({ service: 'imap', sessionId: '1', user: 'joe@a' }).update({ mailbox: 'INBOX' })
    sender.serve('demo', async (request) => ({ echo: request }))
    await expect(asker.ask('demo', 1, { timeoutMs: 5000 })).resolves.toEqual({ echo: 1 })
    const before = await asker.presences()
    await first.stop()
    await vi.waitFor(() => expect([sender, receiver, asker].some((client) => client.connected)).toBe(false))
    await hub(at)
    await connected(sender, receiver, asker)
    await vi.waitFor(() => expect(inbox.gaps()).toBe(2))
    expect(await asker.presences()).toEqual(before)
    await expect(asker.ask('demo', 2, { timeoutMs: 5000 })).resolves.toEqual({ echo: 2 })
    sender.publish(mailNew('joe@a'))
    await vi.waitFor(() => expect(inbox.events).toHaveLength(1))
  })
})

describe('presences (MON-01, MON-02)', () => {
  it('list services and connections of all processes, and go with their process', async () => {
    const at = await socketPath()
    await hub(at)
    const [imapd, watcher] = [bus(at, 'imapd'), bus(at, 'msstat')]
    const { events } = await listen(watcher, ['ALL'])
    imapd.announce({ service: 'imap' })
    const session = imapd.announce({ service: 'imap', sessionId: '456', clientAddress: '127.0.0.1' })
    session.update({ user: 'joe@a', activity: 'idling', mailbox: 'INBOX' })
    session.update({ mailbox: undefined })
    const pop = imapd.announce({ service: 'pop3', sessionId: '457', user: 'ann@a' })
    pop.withdraw()
    await vi.waitFor(() => expect(events).toHaveLength(7))
    const listed = { host: 'mail.example.org', since: expect.any(Number) }
    expect(await watcher.presences()).toEqual([
      { service: 'imap', ...listed },
      { service: 'imap', sessionId: '456', clientAddress: '127.0.0.1', user: 'joe@a', activity: 'idling', ...listed },
    ])
    expect(await watcher.presences('joe@a')).toMatchObject([{ sessionId: '456' }])
    expect(await watcher.presences('ann@a')).toEqual([])
    expect(await watcher.presences(null)).toEqual([{ service: 'imap', ...listed }])
    await imapd.close()
    await vi.waitFor(() => expect(events).toHaveLength(10))
    expect(await watcher.presences()).toEqual([])
    expect(events.map((event) => [event.topic, event.name, event.fields.session_id])).toEqual([
      ['service:imap', 'service start', undefined],
      ['service:imap', 'conn open', '456'],
      ['joe@a', 'login', '456'],
      ['service:pop3', 'conn open', '457'],
      ['ann@a', 'login', '457'],
      ['ann@a', 'logout', '457'],
      ['service:pop3', 'conn close', '457'],
      ['service:imap', 'service stop', undefined],
      ['joe@a', 'logout', '456'],
      ['service:imap', 'conn close', '456'],
    ])
    expect(events[1]!.fields).toEqual({
      service: 'imap',
      server_fqdn: 'mail.example.org',
      session_id: '456',
      client_ip: '127.0.0.1',
      time_stamp: expect.stringMatching(/^\d+\.\d{6}$/),
    })
  })

  it('are listed whole when there are thousands', async () => {
    const at = await socketPath()
    await hub(at)
    const client = bus(at)
    for (let i = 0; i < 3001; i++) client.announce({ service: 'imap', sessionId: String(i), user: 'ü'.repeat(500) })
    await connected(client)
    expect((await client.presences()).map((presence) => presence.sessionId)).toEqual(
      Array.from({ length: 3001 }, (_, i) => String(i)),
    )
  })

  it('reject when mseventd is away', async () => {
    const client = bus(await socketPath())
    const listed = client.presences()
    await client.close()
    await expect(listed).rejects.toThrow(RemoteError)
  })
})

describe('a service that is replaced', () => {
  /** ms_syncd as it starts: announced before it serves. */
  const start = (at: { readonly path: string }) => {
    const syncd = bus(at, 'ms_syncd')
    syncd.announce({ service: 'gw' })
    syncd.serve('ms_sync', async () => 'yes')
    return syncd
  }
  const watch = async (client: EventBus) => {
    const seen = { replaced: 0 }
    onReplacement(client, 'gw', () => seen.replaced++)
    const { events, gaps } = await listen(client, ['service:gw'])
    const names = () => events.map(({ name }) => name)
    return { seen, names, gaps }
  }
  const asked = (client: EventBus) => client.ask('ms_sync', null, { secret: true, timeoutMs: 20_000 })

  it('is told of when the new process is there', async () => {
    const at = await socketPath()
    await hub(at)
    const imapd = bus(at, 'imapd')
    const { seen, names } = await watch(imapd)
    const first = start(at)
    await asked(imapd)
    expect(seen.replaced).toBe(0)
    await first.close()
    await vi.waitFor(() => expect(names()).toEqual(['service start', 'service stop']))
    expect(await imapd.presences(null)).toEqual([])
    expect(seen.replaced).toBe(0)
    start(at)
    await asked(imapd)
    expect(names()).toEqual(['service start', 'service stop', 'service start'])
    await vi.waitFor(() => expect(seen.replaced).toBe(1))
  })

  it('is not told of when only mseventd was restarted', async () => {
    const at = await socketPath()
    const one = await hub(at)
    const imapd = bus(at, 'imapd')
    const { seen, names, gaps } = await watch(imapd)
    start(at)
    await asked(imapd)
    const before = await imapd.presences(null)
    await one.stop()
    await hub(at)
    await vi.waitFor(() => expect(gaps()).toBe(2), { timeout: 10_000 })
    await asked(imapd)
    expect(await imapd.presences(null)).toEqual(before)
    expect(seen.replaced).toBe(0)
    expect(names().filter((name) => name === 'service start')).toHaveLength(1)
  })

  it('is told of when mseventd was away meanwhile', async () => {
    const at = await socketPath()
    const one = await hub(at)
    const imapd = bus(at, 'imapd')
    const { seen } = await watch(imapd)
    const syncd = start(at)
    await asked(imapd)
    await one.stop()
    await syncd.close()
    start(at)
    await hub(at)
    await asked(imapd)
    await vi.waitFor(() => expect(seen.replaced).toBe(1))
  })

  it('comes back after imapd: it is known again, or known as another one', async () => {
    for (const isAnother of [false, true]) {
      const at = await socketPath()
      const one = await hub(at)
      const imapd = bus(at, 'imapd')
      const { seen, names, gaps } = await watch(imapd)
      const syncd = start(at)
      await asked(imapd)
      const [presence] = await imapd.presences(null)
      await syncd.close()
      await one.stop()
      await hub(at)
      await vi.waitFor(() => expect(gaps()).toBe(2), { timeout: 10_000 })
      const socket = createConnection(at)
      onTestFinished(() => void socket.destroy())
      const { since } = presence!
      const host = presence!.host
      socket.write(encodeHub('hello', 1, { version: PROTOCOL_VERSION, name: 'ms_syncd', host, pid: 1 }))
      const announce = { id: 1, presence: { service: 'gw' }, since: isAnother ? since + 1 : since, again: true }
      socket.write(encodeHub('announce', 0, announce))
      await vi.waitFor(() => expect(names().at(-1)).toBe('service back'))
      await imapd.presences(null)
      expect(seen.replaced).toBe(Number(isAnother))
      await imapd.close()
    }
  })
})

describe('ask and serve (GW-25)', () => {
  it('goes on when mseventd ends before it has welcomed anybody, and comes up again', async () => {
    const at = await socketPath()
    const dying = createServer((socket) => socket.destroy()).listen(at.path)
    const log = recordingLog()
    const ended = vi.waitFor(() => expect(log.records.length).toBeGreaterThan(0), { timeout: 10_000 })
    const asking = bus(at, 'imapd', log)
    const answer = asking.ask('ms_sync', 'hello', { timeoutMs: 20_000 })
    await ended
    await new Promise((resolve) => dying.close(resolve))
    await hub(at)
    bus(at, 'ms_syncd').serve('ms_sync', async (request) => request)
    expect(await answer).toBe('hello')
  })

  it('waits for mseventd and for the service to come up', async () => {
    const at = await socketPath()
    const [asker, server] = [bus(at), bus(at)]
    const answer = asker.ask('ms_sync', { user: 'joe' }, { secret: true, timeoutMs: 10_000 })
    await hub(at)
    await connected(asker)
    server.serve('ms_sync', async (request) => ['ok', request])
    await expect(answer).resolves.toEqual(['ok', { user: 'joe' }])
  })

  it('says so when nobody serves it, and when no answer comes; both retryable', async () => {
    const at = await socketPath()
    await hub(at)
    const [asker, server] = [bus(at), bus(at)]
    await expect(asker.ask('nobody', null, { timeoutMs: 10_000 })).rejects.toMatchObject({
      name: 'RemoteError',
      retryable: true,
      message: 'no process serves nobody',
    })
    const cancelled = Promise.withResolvers<void>()
    server.serve('slow', (_request, signal) => {
      signal.addEventListener('abort', () => cancelled.resolve())
      return new Promise(() => {})
    })
    await expect(asker.ask('slow', null, { timeoutMs: 300 })).rejects.toMatchObject({
      retryable: true,
      message: 'no answer from slow within 300 ms',
    })
    await cancelled.promise
  })

  it('stops waiting, and tells the serving process, when the caller gives up', async () => {
    const at = await socketPath()
    await hub(at)
    const [asker, server] = [bus(at), bus(at)]
    const started = Promise.withResolvers<void>()
    const cancelled = Promise.withResolvers<void>()
    server.serve('slow', (_request, signal) => {
      started.resolve()
      signal.addEventListener('abort', () => cancelled.resolve())
      return new Promise(() => {})
    })
    const caller = new AbortController()
    const answer = asker.ask('slow', null, { timeoutMs: 10_000, signal: caller.signal })
    await started.promise
    caller.abort(new Error('client hung up'))
    await expect(answer).rejects.toThrow('client hung up')
    await cancelled.promise
  })

  it('answers in any order (EVT-11)', async () => {
    const at = await socketPath()
    await hub(at)
    const [asker, server] = [bus(at), bus(at)]
    const held = new Map<number, () => void>()
    server.serve('demo', (n) => new Promise((resolve) => held.set(n as number, () => resolve(n))))
    const order: number[] = []
    const asked = [1, 2, 3].map((n) => asker.ask('demo', n, { timeoutMs: 10_000 }).then((a) => order.push(a as number)))
    await vi.waitFor(() => expect(held.size).toBe(3))
    for (const n of [3, 1, 2]) {
      const before = order.length
      held.get(n)!()
      await vi.waitFor(() => expect(order).toHaveLength(before + 1))
    }
    await Promise.all(asked)
    expect(order).toEqual([3, 1, 2])
  })

  it('asks one process only, and the next one when that one dies in mid-request', async () => {
    const at = await socketPath()
    await hub(at)
    const [asker, first, second] = [bus(at), bus(at), bus(at)]
    const asked: string[] = []
    first.serve('demo', () => {
      asked.push('first')
      return new Promise(() => {})
    })
    await connected(first)
    await first.presences()
    second.serve('demo', async () => {
      asked.push('second')
      return 'done'
    })
    await second.presences()
    const answer = asker.ask('demo', null, { timeoutMs: 10_000 })
    await vi.waitFor(() => expect(asked).toEqual(['first']))
    await first.close()
    await expect(answer).resolves.toBe('done')
    expect(asked).toEqual(['first', 'second'])
  })

  it('repeats a request once when mseventd dies in mid-request, not twice', async () => {
    const at = await socketPath()
    let running = await hub(at)
    const [asker, server] = [bus(at), bus(at)]
    let asked = 0
    server.serve('demo', () => {
      asked++
      return new Promise(() => {})
    })
    const answer = asker.ask('demo', null, { timeoutMs: 20_000 })
    answer.catch(() => {})
    await vi.waitFor(() => expect(asked).toBe(1), { timeout: 10_000 })
    await running.stop()
    running = await hub(at)
    await vi.waitFor(() => expect(asked).toBe(2), { timeout: 10_000 })
    await running.stop()
    await expect(answer).rejects.toMatchObject({
      name: 'RemoteError',
      retryable: true,
      message: expect.stringMatching(/broke before the answer|went away before its answer/),
    })
    expect(asked).toBe(2)
  })

  it('hands over a RemoteError as it is and any other failure as a fixed text', async () => {
    const at = await socketPath()
    await hub(at)
    const log = recordingLog()
    const [asker, server] = [bus(at), bus(at, 'ms_syncd', log)]
    server.serve('demo', async (request) => {
      if (request === 'remote') throw new RemoteError('the backend is down', { retryable: false })
      throw new Error(`internal: hunter2`)
    })
    await expect(asker.ask('demo', 'remote', { timeoutMs: 10_000 })).rejects.toMatchObject({
      name: 'RemoteError',
      retryable: false,
      message: 'the backend is down',
    })
    const failed = asker.ask('demo', 'hunter2', { timeoutMs: 10_000 })
    await expect(failed).rejects.toThrow('demo failed on this request')
    expect(JSON.stringify(log.records)).not.toContain('hunter2')
  })

  it('keeps a credential out of logs and away from every other connection', async () => {
    const at = await socketPath()
    const log = recordingLog()
    await hub(at, log)
    const [asker, server, watcher] = [bus(at, 'imapd', log), bus(at, 'ms_syncd', log), bus(at, 'msstat', log)]
    const heard = await listen(watcher, ['ALL', 'ms_sync', 'ms_sync:joe@a', 'joe@a'])
    server.serve('ms_sync', async () => 'yes')
    const password = 'correct horse battery staple'
    await asker.ask('ms_sync', { user: 'joe@a', password }, { secret: true, timeoutMs: 10_000 })
    server.publish(mailNew('joe@a'))
    await vi.waitFor(() => expect(heard.events).toHaveLength(1))
    expect(JSON.stringify(heard.events)).not.toContain('horse')
    expect(JSON.stringify(log.records)).not.toContain('horse')
  })

  it('sends no credential, and serves none, over TCP without TLS', async () => {
    const { addresses } = await hub({ host: '127.0.0.1', port: 0 })
    const client = bus(addresses[0]!.at)
    await connected(client)
    await expect(client.ask('ms_sync', { password: 'x' }, { secret: true, timeoutMs: 5000 })).rejects.toThrow(
      'msevent_tls',
    )
    expect(() => client.serve('ms_sync', async () => null)).toThrow('msevent_tls')
    client.serve('demo', async () => 'fine')
    await expect(client.ask('demo', null, { timeoutMs: 5000 })).resolves.toBe('fine')
  })
})
