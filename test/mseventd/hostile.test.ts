import { once } from 'node:events'
import { existsSync, statSync, writeFileSync } from 'node:fs'
import { createConnection, type Socket } from 'node:net'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import type { EventAddress } from '#src/events/address.ts'
import { encodeHub } from '#src/events/wire.ts'
import { encodeMpp } from '#src/proto/mpp/message.ts'
import { bus, hub, recordingLog, socketPath } from '../events/support/buses.ts'

async function raw(at: EventAddress): Promise<{ socket: Socket; text: () => string; closed: Promise<unknown> }> {
  const socket = createConnection(at)
  onTestFinished(() => void socket.destroy())
  let received = ''
  socket.on('data', (chunk) => {
    received += chunk.toString('latin1')
  })
  socket.on('error', () => {})
  const closed = new Promise((resolve) => socket.once('close', resolve))
  await once(socket, 'connect')
  return { socket, text: () => received, closed }
}
const hello = encodeHub('hello', 1, { version: 1, name: 'test', host: 'h', pid: 1 })

describe('mseventd and a client that misbehaves', () => {
  it.each<[string, Buffer | string, RegExp]>([
    ['garbage', Buffer.alloc(100_000, 0xff), /MPP/],
    ['HTTP', 'GET / HTTP/1.1\r\n\r\n', /MPP/],
    ['no hello', encodeHub('list', 1), /before event:hello/],
    ['another version', encodeHub('hello', 1, { version: 2, name: 'x', host: 'h', pid: 1 }), /version 2/],
    ['a wrong trailer', Buffer.concat([hello, Buffer.from('event:list 1 2\r\n{}END!\n')]), /no END/],
    ['payload that is not JSON', Buffer.concat([hello, encodeMpp('event:publish', 0, Buffer.from('{'))]), /not JSON/],
    [
      'an event without fields',
      Buffer.concat([hello, encodeHub('publish', 0, { topic: 'a', name: 'b' })]),
      /not an object/,
    ],
    ['topics that are no list', Buffer.concat([hello, encodeHub('subscribe', 1, { topics: 'a' })]), /not a list/],
    ['an unknown presence', Buffer.concat([hello, encodeHub('update', 0, { id: 9, changes: {} })]), /not announced/],
    ['an unknown verb', Buffer.concat([hello, encodeMpp('event:shutdown', 1, Buffer.from('{}'))]), /unknown/],
    ['a type without a service', Buffer.concat([hello, encodeMpp('shutdown', 1, Buffer.from('{}'))]), /service/],
    ['serving the hub itself', Buffer.concat([hello, encodeHub('serve', 0, { service: 'event' })]), /service/],
  ])('closes its connection alone: %s (F24)', async (_what, octets, reason) => {
    const at = await socketPath()
    const log = recordingLog()
    await hub(at, log)
    const client = bus(at)
    await client.presences()
    const bad = await raw(at)
    bad.socket.write(octets)
    await bad.closed
    expect(bad.text()).toMatch(reason)
    expect(log.records.filter((record) => record.severity === 'warning')).toHaveLength(1)
    expect(client.connected).toBe(true)
    await expect(client.presences()).resolves.toEqual([])
  })

  it('closes on a msgno that is outstanding already (EVT-10)', async () => {
    const at = await socketPath()
    await hub(at)
    const server = bus(at)
    server.serve('demo', () => new Promise(() => {}))
    await server.presences()
    const bad = await raw(at)
    const ask = encodeMpp('demo:ask', 5, Buffer.from('1'))
    bad.socket.write(Buffer.concat([hello, ask, ask]))
    await bad.closed
    expect(bad.text()).toContain('msgno 5 is outstanding already')
  })

  it('takes an answer from the asked process only', async () => {
    const at = await socketPath()
    await hub(at)
    const [asker, server] = [bus(at), bus(at)]
    const release = Promise.withResolvers<void>()
    const started = Promise.withResolvers<void>()
    server.serve('demo', async () => {
      started.resolve()
      await release.promise
      return 'true answer'
    })
    const answer = asker.ask('demo', null, { timeoutMs: 10_000 })
    await started.promise
    const forger = await raw(at)
    forger.socket.write(hello)
    for (let id = 0; id < 20; id++) forger.socket.write(encodeMpp('demo:answer', id, Buffer.from('"forged"')))
    forger.socket.write(encodeHub('list', 3))
    await vi.waitFor(() => expect(forger.text()).toContain('event:presences 3'))
    release.resolve()
    await expect(answer).resolves.toBe('true answer')
  })

  it('lets nobody serve ms_sync, and forwards no secret, over TCP without TLS', async () => {
    const { addresses } = await hub({ host: '127.0.0.1', port: 0 })
    const at = addresses[0]!.at
    const server = await raw(at)
    server.socket.write(Buffer.concat([hello, encodeHub('serve', 0, { service: 'ms_sync' })]))
    await server.closed
    expect(server.text()).toContain('over a Unix socket or TLS')
    const demo = await raw(at)
    demo.socket.write(Buffer.concat([hello, encodeHub('serve', 0, { service: 'demo' }), encodeHub('list', 3)]))
    await vi.waitFor(() => expect(demo.text()).toContain('event:presences 3'))
    const asker = await raw(at)
    asker.socket.write(Buffer.concat([hello, encodeMpp('demo:secret', 5, Buffer.from('"hunter2"'))]))
    await vi.waitFor(() => expect(asker.text()).toContain('demo:failure 5'))
    asker.socket.write(encodeMpp('demo:ask', 7, Buffer.from('"plain"')))
    await vi.waitFor(() => expect(demo.text()).toContain('"plain"'))
    expect(demo.text()).not.toContain('hunter2')
  })

  it('takes no secret from a connection in the clear for a process on a protected one', async () => {
    const path = await socketPath()
    const tcp = await hub({ host: '127.0.0.1', port: 0 }, recordingLog(), {
      listeners: [path, { host: '127.0.0.1', port: 0 }],
    })
    const server = bus(path)
    const asked: unknown[] = []
    server.serve('ms_sync', async (request) => asked.push(request))
    await server.presences()
    const asker = await raw(tcp.addresses[1]!.at)
    asker.socket.write(Buffer.concat([hello, encodeMpp('ms_sync:secret', 5, Buffer.from('"hunter2"'))]))
    await vi.waitFor(() => expect(asker.text()).toContain('a credential came over an unprotected channel'))
    expect(asked).toEqual([])
  })

  it('cuts a subscriber that does not read; the others get everything (F24)', async () => {
    const at = await socketPath()
    const log = recordingLog()
    await hub(at, log, { maxUnreadOctets: 256 * 1024 })
    const [sender, good] = [bus(at), bus(at)]
    let got = 0
    let inForce = false
    good.subscribe(
      ['ALL'],
      (event) => {
        expect(event.fields.n).toBe(got)
        got++
      },
      () => {
        inForce = true
      },
    )
    const slow = await raw(at)
    slow.socket.write(Buffer.concat([hello, encodeHub('subscribe', 3, { topics: ['ALL'] })]))
    await vi.waitFor(() => expect(slow.text()).toContain('event:done 3'))
    slow.socket.pause()
    await vi.waitFor(() => expect(inForce && sender.connected).toBe(true))
    const text = 'x'.repeat(1000)
    let sent = 0
    while (!log.records.some((record) => String(record.fields?.reason).includes('does not read'))) {
      for (let i = 0; i < 50; i++) sender.publish({ topic: 't', name: 'n', fields: { n: sent++, text } })
      await vi.waitFor(() => expect(got).toBe(sent))
      expect(sent).toBeLessThan(10_000)
    }
    slow.socket.resume()
    await slow.closed
  })

  it('does not remove what is not a dead socket, and binds for its own user alone', async () => {
    const at = await socketPath()
    writeFileSync(at.path, 'precious')
    await expect(hub(at)).rejects.toThrow('is not a socket')
    expect(existsSync(at.path)).toBe(true)
    const other = await socketPath()
    await hub(other)
    expect(statSync(other.path).mode & 0o777).toBe(0o600)
    await expect(hub(other)).rejects.toThrow('another process listens at')
    await expect(hub({ path: `/tmp/${'x'.repeat(200)}` })).rejects.toThrow("longer than a Unix socket's")
  })
})

describe('a client of something that is not mseventd', () => {
  it('closes on garbage and tries again', async () => {
    const { createServer } = await import('node:net')
    const at = await socketPath()
    let connections = 0
    const server = createServer((socket) => {
      connections++
      socket.on('error', () => {})
      socket.write('220 smtp.example.org ESMTP\r\n'.repeat(1000))
    }).listen(at.path)
    onTestFinished(() => void server.close())
    const log = recordingLog()
    const client = bus(at, 'imapd', log)
    await vi.waitFor(() => expect(connections).toBeGreaterThan(2), { timeout: 10_000 })
    expect(client.connected).toBe(false)
    expect(log.records.filter((record) => record.severity === 'warning')).toHaveLength(1)
    await client.close()
  })
})
