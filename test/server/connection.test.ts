import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { connect as connectTls } from 'node:tls'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type ClientConnection, ConnectionLost, ConnectionTimeout } from '#src/server/types.ts'
import { type Certificates, certificates } from './support/certificates.ts'
import { Client, connectTo, linesOf, serving, until } from './support/serving.ts'

let made: Certificates
beforeAll(() => {
  made = certificates()
  made.make('server')
})
afterAll(() => made[Symbol.dispose]())

const withCertificate = () => ({ tls_cert_file: made.path('server.pem'), tls_key_file: made.path('server.key') })

async function echo(connection: ClientConnection): Promise<void> {
  for await (const line of linesOf(connection)) connection.write(`${line}\r\n`)
}

describe('reading', () => {
  it('answers a client that closes its side first', async () => {
    await using server = await serving(echo)
    const client = connectTo(server.port)
    client.socket.end('one\r\ntwo\r\n')
    await client.ended()
    expect(client.text).toBe('one\r\ntwo\r\n')
  })

  it('reads little ahead of a busy session', async () => {
    let connection: ClientConnection | undefined
    const { promise: mayGo, resolve: go } = Promise.withResolvers<void>()
    let total = 0
    await using server = await serving(async (accepted) => {
      connection = accepted
      await mayGo
      for (let octets = await accepted.read(); octets; octets = await accepted.read()) total += octets.length
    })
    const client = connectTo(server.port)
    const sent = 64 << 20
    client.socket.end(Buffer.alloc(sent))
    await until(() => connection !== undefined && client.socket.writableLength > 0)
    let before = -1
    // Whatever the kernel takes, the sender stands still at last.
    await until(() => {
      const now = client.socket.writableLength
      const still = now === before
      before = now
      return still
    })
    const first = await connection!.read()
    expect(first!.length).toBeLessThanOrEqual(128 * 1024)
    total += first!.length
    go()
    await client.ended()
    expect(total).toBe(sent)
  })

  it('notices a reset while the session is busy', async () => {
    let connection: ClientConnection | undefined
    await using server = await serving(async (accepted) => {
      connection = accepted
      await new Promise((resolve) => accepted.signal.addEventListener('abort', resolve))
    })
    const client = connectTo(server.port)
    await until(() => connection !== undefined)
    client.socket.resetAndDestroy()
    await until(() => connection!.signal.aborted)
    expect(await connection!.read()).toBeUndefined()
    await expect(connection!.drain()).rejects.toBeInstanceOf(ConnectionLost)
  })

  it('lets an idle session say a last word', async () => {
    await using server = await serving(async (connection) => {
      connection.authenticated()
      connection.setIdleTimeout(30)
      await connection.read().catch((error) => {
        expect(error).toBeInstanceOf(ConnectionTimeout)
        connection.write('* BYE idle\r\n')
      })
    })
    const client = connectTo(server.port)
    await client.ended()
    expect(client.text).toBe('* BYE idle\r\n')
  })

  it('counts all waits before the login together (H1, P16)', async () => {
    await using server = await serving(echo, { service: { limits: { loginWaitMs: 300 } } })
    const client = connectTo(server.port)
    const drip = setInterval(() => client.socket.write('x'), 20)
    const since = performance.now()
    await client.ended()
    clearInterval(drip)
    const waited = performance.now() - since
    expect(waited).toBeGreaterThan(250)
    expect(waited).toBeLessThan(2000)
    expect(server.logged.filter(({ message }) => message === 'client timed out')).toHaveLength(1)
  })

  it('has no login limit after the login', async () => {
    let reads = 0
    await using server = await serving(
      async (connection) => {
        connection.authenticated()
        connection.setIdleTimeout(10_000)
        while ((await connection.read()) !== undefined) reads++
      },
      { service: { limits: { loginWaitMs: 60 } } },
    )
    const client = connectTo(server.port)
    const drip = setInterval(() => client.socket.write('x'), 25)
    await until(() => reads >= 8)
    clearInterval(drip)
    expect(client.closed).toBe(false)
    client.socket.destroy()
  })
})

describe('writing', () => {
  interface Sent {
    sent: number
    error?: unknown
    readonly compressed?: boolean
  }
  /** Writes as a long FETCH does: a piece, then drain. */
  const send = (total: number, piece: number, seen: Sent) => async (c: ClientConnection) => {
    c.authenticated()
    if (seen.compressed) await c.compress()
    // Compression makes nothing of it.
    const octets = randomBytes(piece)
    try {
      while (seen.sent < total) {
        c.write(octets)
        seen.sent += piece
        await c.drain()
      }
    } catch (error) {
      seen.error = error
    }
  }

  it.each([false, true])('cuts a client that does not read, compressed: %s (IMAP-13, H8)', async (compressed) => {
    const seen: Sent = { sent: 0, compressed }
    await using server = await serving(send(256 << 20, 32 * 1024, seen), {
      service: { limits: { writeStallMs: 300, fullQueueStallMs: 100 } },
    })
    const client = connectTo(server.port)
    client.socket.pause()
    await until(() => seen.error !== undefined)
    expect(seen.error).toBeInstanceOf(ConnectionLost)
    // What the two kernels hold, and no heap of ours.
    expect(seen.sent).toBeLessThan(64 << 20)
    expect(server.logged.find(({ message }) => message === 'connection cut')?.fields.reason).toMatch(/has not read/)
    client.socket.destroy()
  })

  it('never cuts one that is slow (IMAP-13)', async () => {
    const total = 24 << 20
    const seen: Sent = { sent: 0 }
    await using server = await serving(send(total, 1 << 20, seen), {
      config: { max_net_buffer: 131072 },
      service: { limits: { writeStallMs: 1500, fullQueueStallMs: 1500 } },
    })
    const client = connectTo(server.port)
    let got = 0
    client.socket.on('data', (text: string) => {
      got += text.length
      client.socket.pause()
      setTimeout(() => client.socket.resume(), 6)
    })
    const since = performance.now()
    await client.ended()
    expect(performance.now() - since).toBeGreaterThan(1500)
    expect(seen.error).toBeUndefined()
    expect(got).toBe(total)
  })

  it('flushes before it closes', async () => {
    const text = 'x'.repeat(5 << 20)
    await using server = await serving(async (connection) => {
      connection.write(text)
      await connection.close()
    })
    const client = connectTo(server.port)
    await client.ended()
    expect(client.text.length).toBe(text.length)
  })
})

describe('STARTTLS', () => {
  const executed: string[] = []
  async function session(connection: ClientConnection): Promise<void> {
    let rest = ''
    for (let octets = await connection.read(); octets; octets = await connection.read()) {
      rest += octets.toString('latin1')
      for (let end = rest.indexOf('\r\n'); end >= 0; end = rest.indexOf('\r\n')) {
        const line = rest.slice(0, end)
        rest = rest.slice(end + 2)
        if (line !== 'STARTTLS') {
          executed.push(line)
          connection.write(`did ${line} ${connection.channel ? 'secure' : 'clear'}\r\n`)
          continue
        }
        if (rest !== '') return
        connection.write('OK go\r\n')
        await connection.upgrade()
      }
    }
  }
  const serve = () => serving(session, { config: withCertificate() })

  it('never executes what came before TLS, however it is cut (H12)', async () => {
    await using server = await serve()
    const octets = 'STARTTLS\r\nINJECTED\r\n'
    executed.length = 0
    for (let cut = 1; cut <= octets.length; cut++) {
      const client = connectTo(server.port)
      client.socket.write(octets.slice(0, cut))
      // The second piece arrives on its own: behind the first one, and behind the reply where there is one.
      if (cut >= 'STARTTLS\r\n'.length && cut < octets.length) await client.received('OK go').catch(() => {})
      else await new Promise((resolve) => setTimeout(resolve, 2))
      client.socket.write(octets.slice(cut))
      await client.ended()
      client.socket.destroy()
    }
    expect(executed).toEqual([])
  })

  it('comes up when the command alone is cut anywhere', async () => {
    await using server = await serve()
    const octets = 'STARTTLS\r\n'
    executed.length = 0
    for (let cut = 1; cut < octets.length; cut++) {
      const client = connectTo(server.port)
      client.socket.write(octets.slice(0, cut))
      await new Promise((resolve) => setTimeout(resolve, 2))
      client.socket.write(octets.slice(cut))
      await client.received('OK go\r\n')
      client.socket.removeAllListeners('data')
      const secure = new Client(connectTls({ socket: client.socket, rejectUnauthorized: false }))
      secure.socket.write('NOOP\r\n')
      await secure.received('did NOOP secure\r\n')
      secure.socket.destroy()
    }
    expect(executed).toEqual(Array(octets.length - 1).fill('NOOP'))
  })

  it('is offered only with a certificate and only once (TLS-01)', async () => {
    const offers: boolean[] = []
    const tell = async (connection: ClientConnection) => {
      offers.push(connection.canUpgrade)
    }
    for (const config of [{}, withCertificate()]) {
      await using server = await serving(tell, { config })
      await connectTo(server.port).ended()
    }
    expect(offers).toEqual([false, true])
    await using server = await serving(tell, { config: withCertificate(), service: { plain: 'imap', tls: 'imaps' } })
    const { at } = server.addresses[1]!
    const client = new Client(connectTls({ port: 'port' in at ? at.port : 0, rejectUnauthorized: false }))
    await client.ended()
    expect(offers).toEqual([false, true, false])
  })

  it('gives a handshake up that is not finished or is none (H2)', async () => {
    const config = withCertificate()
    await using server = await serving(echo, {
      config,
      service: { plain: 'imap', tls: 'imaps', limits: { tlsHandshakeMs: 100 } },
    })
    const { at } = server.addresses[1]!
    const port = 'port' in at ? at.port : 0
    const silent = connectTo(port)
    const half = connectTo(port)
    half.socket.write(Buffer.from([0x16, 3, 1, 2, 0, 1, 0]))
    const drip = setInterval(() => half.socket.write(Buffer.from([0])), 20)
    const garbage = connectTo(port)
    garbage.socket.write('a LOGIN joe secret\r\n')
    await Promise.all([silent.ended(), half.ended(), garbage.ended()])
    clearInterval(drip)
    const good = new Client(connectTls({ port, rejectUnauthorized: false }))
    good.socket.write('still there\r\n')
    await good.received('still there')
    good.socket.destroy()
    for (const client of [silent, half, garbage]) client.socket.destroy()
  })
})

describe('a service', () => {
  it.each([0, 5])('IMAP-05: with tcp_keepalive %i looks after silent clients', async (minutes) => {
    await using server = await serving(echo, { config: { tcp_keepalive: minutes } })
    const client = connectTo(server.port)
    client.socket.write('hello\r\n')
    await client.received('hello')
    // proc(5): the timer of the server's end of the connection (2: keep-alive), and when it fires, in hundredths of a second.
    const port = server.port.toString(16).toUpperCase().padStart(4, '0')
    const [, timer, left] = new RegExp(`:${port} \\S+ 01 \\S+ (\\d\\d):(\\w+)`).exec(
      readFileSync('/proc/net/tcp', 'latin1'),
    )!
    const seconds = timer === '02' ? Number.parseInt(left!, 16) / 100 : 0
    expect(Math.abs(seconds - 60 * minutes)).toBeLessThan(minutes === 0 ? 1 : 30)
    client.socket.destroy()
  })

  it('refuses clients beyond its limits with a word, and takes them again later (H1)', async () => {
    const loggedIn: ClientConnection[] = []
    await using server = await serving(
      async (connection) => {
        connection.write('hello\r\n')
        for await (const line of linesOf(connection)) {
          if (line === 'login') {
            connection.authenticated()
            loggedIn.push(connection)
          }
          connection.write(`${line}\r\n`)
        }
      },
      { service: { limits: { unauthenticatedPerAddress: 2 } } },
    )
    const first = connectTo(server.port)
    const second = connectTo(server.port)
    await Promise.all([first.received('hello'), second.received('hello')])
    const third = connectTo(server.port)
    await third.ended()
    expect(third.text).toBe('* BYE Too many\r\n')
    first.socket.write('login\r\n')
    await first.received('login')
    const fourth = connectTo(server.port)
    await fourth.received('hello')
    second.socket.destroy()
    fourth.socket.destroy()
    first.socket.destroy()
  })

  it('is not disturbed by a session that fails', async () => {
    await using server = await serving(async (connection) => {
      for await (const line of linesOf(connection)) {
        if (line === 'fail') throw new Error('defect in a session')
        connection.write(`${line}\r\n`)
      }
    })
    const good = connectTo(server.port)
    const bad = connectTo(server.port)
    bad.socket.write('fail\r\n')
    await bad.ended()
    good.socket.write('fine\r\n')
    await good.received('fine')
    const record = server.logged.find(({ severity }) => severity === 'crit')
    expect(record?.message).toBe('a session failed')
    expect(record?.fields.incident).toMatch(/^[0-9a-f]{12}$/)
    expect(record?.fields.error).toContain('defect in a session')
    for (const { socket } of [good, bad]) socket.destroy()
  })

  it('stops when its sessions have said goodbye, and cuts those that do not', async () => {
    const server = await serving(async (connection) => {
      connection.write('hello\r\n')
      const leave = new Promise((resolve) => connection.stopping.addEventListener('abort', resolve))
      const line = (await connection.read())!.toString('latin1')
      if (line === 'stubborn\r\n') await new Promise((resolve) => connection.signal.addEventListener('abort', resolve))
      await leave
      connection.write('* BYE\r\n')
    })
    const polite = connectTo(server.port)
    const stubborn = connectTo(server.port)
    await Promise.all([polite.received('hello'), stubborn.received('hello')])
    polite.socket.write('polite\r\n')
    stubborn.socket.write('stubborn\r\n')
    await until(() => polite.socket.writableLength + stubborn.socket.writableLength === 0)
    polite.socket.on('end', () => polite.socket.end())
    const stopped = server.stop(300)
    await polite.received('* BYE')
    await stopped
    await stubborn.ended()
    expect(stubborn.text).toBe('hello\r\n')
    const late = connectTo(server.port)
    await late.ended()
    expect(late.text).toBe('')
  })

  it('dismisses the sessions that are logged in, and goes on with the others', async () => {
    await using server = await serving(async (connection) => {
      connection.stopping.addEventListener('abort', () => {
        connection.write(`* BYE ${connection.stopping.reason.message}\r\n`)
        void connection.close()
      })
      for await (const line of linesOf(connection)) {
        if (line === 'login') connection.authenticated()
        connection.write(`${line}\r\n`)
      }
    })
    const [member, guest] = [connectTo(server.port), connectTo(server.port)]
    member.socket.write('login\r\n')
    guest.socket.write('hello\r\n')
    await Promise.all([member.received('login'), guest.received('hello')])
    server.dismiss('log in again')
    await member.received('* BYE log in again\r\n')
    await member.ended()
    guest.socket.write('still there\r\n')
    await guest.received('still there')
    expect(guest.text).not.toContain('BYE')
    for (const { socket } of [member, guest, connectTo(server.port)]) socket.destroy()
  })

  it('listens at several addresses (CAN-06) and on IPv6', async () => {
    await using server = await serving(echo, {
      config: { imap_host: ['127.0.0.1', '::1', '127.0.0.2'], imap_port: [0] },
    })
    const ports = server.addresses.map(({ at }) => ('port' in at ? at : undefined)!)
    expect(ports.map(({ host }) => host)).toEqual(['127.0.0.1', '::1', '127.0.0.2'])
    for (const { host, port } of ports) {
      const client = connectTo(port, host)
      client.socket.end(`${host}\r\n`)
      await client.received(host)
    }
  })

  it('listens on every interface for an empty host (CAN-07)', async () => {
    await using server = await serving(echo, { config: { imap_host: [''] } })
    for (const host of ['127.0.0.1', '127.0.0.3', '::1']) {
      const client = connectTo(server.port, host)
      client.socket.end('hello\r\n')
      await client.received('hello')
    }
  })

  it('says which address is taken', async () => {
    await using server = await serving(echo)
    await expect(serving(echo, { config: { imap_port: [server.port] } })).rejects.toThrow(
      `127.0.0.1:${server.port} (imap_host, imap_port) is in use by another process`,
    )
  })
})
