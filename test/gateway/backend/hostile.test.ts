import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { BackendProfile } from '#gateway/backend/profile.ts'
import { type ScriptedMessage, scriptedPop3 } from '#test/support/pop3-script.ts'
import { as, fetchAll, numbers, open, quick } from './maildrop.ts'

const messages = (count: number): ScriptedMessage[] =>
  numbers(count).map((n) => ({
    uidl: `id${n}`,
    octets: Buffer.from(`Subject: ${n}\r\n\r\n.x\r\n\xff${n}\r\n`, 'latin1'),
  }))

const directory = mkdtempSync(join(tmpdir(), 'gateway-tls-'))
let tls: { cert: Buffer; key: Buffer }
beforeAll(() => {
  const [key, cert] = [join(directory, 'key.pem'), join(directory, 'cert.pem')]
  const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2']
  const names = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1']
  execFileSync('openssl', ['req', '-x509', ...kind, '-keyout', key, '-out', cert, ...names], { stdio: 'ignore' })
  tls = { cert: readFileSync(cert), key: readFileSync(key) }
})
afterAll(() => rmSync(directory, { recursive: true }))

describe('replies cut anywhere', () => {
  it.each([1, 3])('a whole session in pieces of %i octets', async (pieces) => {
    await using backend = await scriptedPop3({ messages: messages(4), capabilities: ['PIPELINING', 'UIDL'], pieces })
    const maildrop = await open(backend.port)
    expect((await maildrop.uidl())!.listed.map(({ uidl }) => uidl)).toEqual(['id1', 'id2', 'id3', 'id4'])
    const { bodies } = await fetchAll(maildrop, numbers(4))
    for (const n of numbers(4)) expect(bodies.get(n)).toEqual(backend.messages[n - 1]!.octets)
    await maildrop.quit()
  })

  it('the connection ends at every octet: an error, whole messages or none (B3)', async () => {
    await using backend = await scriptedPop3({ messages: messages(2), capabilities: ['PIPELINING'] })
    const session = async () => {
      const maildrop = await open(backend.port)
      await maildrop.uidl()
      const got = await fetchAll(maildrop, [1, 2])
      if (got.lost === undefined) await maildrop.quit()
      for (const [n, body] of got.bodies) expect(body).toEqual(backend.messages[n - 1]!.octets)
      if (got.lost !== undefined) throw got.lost
      return got.bodies.size
    }
    let cut = 0
    for (let whole = false; !whole; cut++) {
      backend.options.cutAfter = cut + 1
      const outcome = await session().catch((error: { kind: string }) => error.kind)
      whole = outcome === 2
      if (!whole) expect(outcome).toBe('closed')
      expect(cut).toBeLessThan(400)
    }
    expect(cut).toBeGreaterThan(120)
  }, 30_000)
})

describe('greeting and login (B1, P9, D4)', () => {
  it.each([
    ['-ERR too many connections\r\n', 'throttled'],
    ['-ERR [SYS/TEMP] not now\r\n', 'temporary'],
    ['-ERR go away\r\n', 'temporary'],
    ['220 smtp.example.org ESMTP\r\n', 'protocol'],
    ['\0\x01\x02\r\n', 'protocol'],
    [`+OK ${'x'.repeat(70_000)}\r\n`, 'limit'],
    ['+OK no line end', 'timeout'],
    ['', 'timeout'],
  ])('greeting %#: kind %s %s, and no credential is sent', async (greeting, kind) => {
    await using backend = await scriptedPop3({ greeting })
    await expect(open(backend.port)).rejects.toMatchObject({ kind })
    expect(backend.received.filter((line) => /USER|PASS/.test(line))).toEqual([])
  })

  it.each([
    ['-ERR [AUTH] no\r\n', 'auth', false],
    ['-ERR authentication failed\r\n', 'auth', false],
    ['-ERR [IN-USE] do you have another session?\r\n', 'in-use', true],
    ['-ERR maildrop already locked\r\n', 'in-use', true],
    ['-ERR [LOGIN-DELAY] too soon\r\n', 'login-delay', true],
    ['-ERR minimum interval between logins is 15 minutes\r\n', 'login-delay', true],
    ['-ERR [SYS/TEMP] LDAP is down\r\n', 'temporary', true],
    ['-ERR temporary failure, try again later\r\n', 'temporary', true],
    ['-ERR [SYS/PERM] mailbox disabled\r\n', 'permanent', false],
  ])('PASS answered %j is %s', async (answer, kind, retryable) => {
    await using backend = await scriptedPop3()
    backend.on('PASS', () => answer)
    await expect(open(backend.port)).rejects.toMatchObject({ kind, retryable })
    expect(backend.received.filter((line) => line.includes('PASS'))).toHaveLength(1)
  })

  it('with AUTH-RESP-CODE, a refusal without [AUTH] is not the password (RFC 3206)', async () => {
    await using backend = await scriptedPop3({ capabilities: ['AUTH-RESP-CODE', 'RESP-CODES'] })
    backend.on('PASS', () => '-ERR backend confused\r\n')
    await expect(open(backend.port)).rejects.toMatchObject({ kind: 'temporary' })
  })

  it('an OK to the password without a maildrop behind it is no login (D4)', async () => {
    await using backend = await scriptedPop3()
    backend.on('STAT', () => '-ERR User is authenticated but not connected\r\n')
    await expect(open(backend.port)).rejects.toMatchObject({ kind: 'permanent' })
    backend.on('STAT', () => '+OK welcome\r\n')
    await expect(open(backend.port)).rejects.toMatchObject({ kind: 'protocol' })
  })

  it('nothing is built from a user name or password with a line end', async () => {
    await using backend = await scriptedPop3()
    await expect(open(backend.port, as('a\r\nDELE 1', 'pw'))).rejects.toMatchObject({ kind: 'auth' })
    await expect(open(backend.port, as('anna', 'a\nDELE 1'))).rejects.toMatchObject({ kind: 'auth' })
    expect(backend.received.filter((line) => /USER|DELE/.test(line))).toEqual([])
  })

  it("the server's words reach the log printable and short (B13)", async () => {
    await using backend = await scriptedPop3()
    backend.on('PASS', () => `-ERR [AUTH] \x1b[31m\0${'y'.repeat(5_000)}\r\n`)
    const error = await open(backend.port).catch((caught: unknown) => caught)
    const { serverText } = error as { serverText: string }
    expect(serverText).toMatch(/^\[AUTH\] \\x1b\[31m\\x00y+…$/)
    expect(serverText.length).toBeLessThanOrEqual(200)
  })

  it('an untimely -ERR, or one after the goodbye, kills nothing', async () => {
    await using backend = await scriptedPop3({ messages: messages(1) })
    const maildrop = await open(backend.port)
    backend.on('NOOP', () => undefined)
    backend.on('LIST', (_, usual) => `${String(usual())}-ERR idle timeout\r\n`)
    expect((await maildrop.list()).size).toBe(1)
    await expect(maildrop.uidl()).rejects.toMatchObject({ kind: 'closed', serverText: 'idle timeout' })
  })
})

describe('CAPA (P4)', () => {
  it('that hangs or closes costs one connection, once', async () => {
    await using backend = await scriptedPop3({ messages: messages(1) })
    backend.on('CAPA', () => undefined)
    const profile = new BackendProfile()
    const maildrop = await open(backend.port, { profile })
    expect(maildrop.capabilities.known).toBe(false)
    expect(backend.sessions).toBe(2)
    await open(backend.port, { profile })
    expect(backend.sessions).toBe(3)
    backend.on('CAPA', ({ socket }) => void socket.destroy())
    await open(backend.port)
    expect(backend.sessions).toBe(5)
  })

  it('that closes behind the login is left out there, after two such sessions', async () => {
    await using backend = await scriptedPop3({ messages: messages(1), capabilities: ['UIDL'] })
    backend.on('CAPA', ({ socket, session }, usual) => {
      if (!backend.received.some((line) => line.startsWith(`${session} PASS`))) return usual()
      return void socket.destroy()
    })
    const profile = new BackendProfile()
    for (let session = 0; session < 2; session++)
      await expect(open(backend.port, { profile })).rejects.toMatchObject({ kind: 'closed' })
    const maildrop = await open(backend.port, { profile })
    expect(maildrop.capabilities.has('UIDL')).toBe(true)
    expect(maildrop.count).toBe(1)
  })

  it('is read again behind the login: LOGIN-DELAY, EXPIRE and UIDL may appear there', async () => {
    await using backend = await scriptedPop3({ messages: messages(1) })
    let asked = 0
    backend.on('CAPA', () =>
      ++asked === 1 ? '+OK\r\nUSER\r\n.\r\n' : '+OK\r\nLOGIN-DELAY 720 USER\r\nexpire 0\r\nUIDL\r\n.\r\n',
    )
    const { capabilities } = await open(backend.port)
    expect(capabilities).toMatchObject({ known: true, loginDelaySeconds: 720, expireDays: 0 })
  })
})

describe('STLS', () => {
  const offers = { capabilities: ['STLS', 'PIPELINING'] }

  it('octets in clear behind the +OK end the session; no credential was sent (RFC 2595 §4)', async () => {
    for (const injected of ['+OK injected\r\n', '+OK', '\r', '+OK\r\nUSER\r\n.\r\n']) {
      await using backend = await scriptedPop3({ ...offers })
      backend.on('STLS', () => `+OK begin\r\n${injected}`)
      const kind = await open(backend.port, { startTls: 'required', trust: { ca: tls.cert } }).catch(
        (error) => error.kind,
      )
      expect(['tls', 'closed']).toContain(kind)
      expect(Buffer.concat(backend.clear.filter(Boolean)).toString()).not.toMatch(/USER|PASS/)
    }
  })

  it('capabilities from before TLS do not count', async () => {
    await using backend = await scriptedPop3({ ...offers, tls })
    let asked = 0
    backend.on('CAPA', () => (++asked === 1 ? '+OK\r\nSTLS\r\nPIPELINING\r\n.\r\n' : '+OK\r\nUIDL\r\n.\r\n'))
    const maildrop = await open(backend.port, { startTls: 'required', trust: { ca: tls.cert } })
    expect(maildrop.capabilities.has('PIPELINING')).toBe(false)
    expect(backend.clear[1]!.toString('latin1')).toMatch(/^CAPA\r\nSTLS\r\n/)
    expect(backend.clear[1]!.toString('latin1')).not.toContain('PASS')
  })

  it('required: not offered or refused is an error, and no credential is sent', async () => {
    for (const capabilities of [[], ['STLS']]) {
      await using backend = await scriptedPop3({ capabilities })
      await expect(open(backend.port, { startTls: 'required' })).rejects.toMatchObject({
        kind: 'tls',
        retryable: false,
      })
      expect(backend.received.filter((line) => /USER|PASS/.test(line))).toEqual([])
    }
  })

  it('GW-16: offered but failing goes on unprotected, unless this host had TLS before', async () => {
    await using backend = await scriptedPop3({ ...offers })
    backend.on('STLS', () => '+OK begin\r\n')
    const noHandshake = { startTls: 'offered' as const, limits: { ...quick, connectMs: 200 } }
    backend.on('STLS', ({ socket }) => {
      socket.end('+OK begin\r\n')
      return undefined
    })
    const maildrop = await open(backend.port, noHandshake)
    expect(maildrop.protection).toBe('none')
    const profile = new BackendProfile({ protection: 'unverified' })
    await expect(open(backend.port, { ...noHandshake, profile })).rejects.toMatchObject({ kind: 'tls' })
    backend.options.capabilities = []
    await expect(open(backend.port, { ...noHandshake, profile })).rejects.toMatchObject({ kind: 'tls' })
  })

  it('GW-16: suppressed means not asked for', async () => {
    await using backend = await scriptedPop3({ ...offers, tls })
    const maildrop = await open(backend.port, { startTls: 'never' })
    expect(maildrop.protection).toBe('none')
    expect(backend.received).not.toContainEqual(expect.stringContaining('STLS'))
  })
})

describe('retrieving', () => {
  it('one command at a time where PIPELINING is not announced', async () => {
    await using backend = await scriptedPop3({ messages: messages(3), capabilities: ['UIDL'] })
    const outstanding: number[] = []
    let open_ = 0
    backend.on('RETR', async (_, usual) => {
      outstanding.push(backend.received.filter((line) => line.includes('RETR')).length - open_++)
      await new Promise((resolve) => setImmediate(resolve))
      return usual()
    })
    const maildrop = await open(backend.port)
    expect((await fetchAll(maildrop, numbers(3))).bodies.size).toBe(3)
    expect(outstanding).toEqual([1, 1, 1])
  })

  it('a refused message is reported; the rest arrives (P12, B10)', async () => {
    await using backend = await scriptedPop3({ messages: messages(3), capabilities: ['PIPELINING'] })
    backend.on('RETR', ({ argument }, usual) => (argument === '2' ? '-ERR can not open message\r\n' : usual()))
    const { bodies, refused } = await fetchAll(await open(backend.port), numbers(3))
    expect([...bodies.keys()]).toEqual([1, 3])
    expect(refused.get(2)!.kind).toBe('permanent')
  })

  it('a server that closes or falls silent in mid-message: the message is aborted, the wait ends', async () => {
    await using backend = await scriptedPop3({ messages: messages(3), capabilities: ['PIPELINING'] })
    backend.on('RETR', ({ argument, socket }, usual) => {
      if (argument !== '2') return usual()
      socket.end('+OK 500 octets\r\nSubject: half\r\n')
      return undefined
    })
    const closed = await fetchAll(await open(backend.port), numbers(3))
    expect([[...closed.bodies.keys()], closed.aborted]).toEqual([[1], [2]])
    expect(closed.lost).toMatchObject({ kind: 'closed' })
    backend.on('RETR', () => '+OK 500 octets\r\nSubject: half\r\n')
    const silent = await fetchAll(await open(backend.port), numbers(3))
    expect(silent.lost).toMatchObject({ kind: 'timeout' })
    expect(silent.aborted).toEqual([1])
  })

  it('octets that trickle end the session (B5)', async () => {
    await using backend = await scriptedPop3({ messages: messages(1) })
    backend.on('RETR', ({ socket }) => {
      socket.write('+OK\r\n')
      const drip = setInterval(() => socket.write('x'), 20)
      socket.on('close', () => clearInterval(drip))
      return undefined
    })
    expect((await fetchAll(await open(backend.port), [1])).lost).toMatchObject({ kind: 'timeout' })
  })

  it('a message or a listing without end stops at its limit (B5)', async () => {
    await using backend = await scriptedPop3({ messages: messages(1) })
    const endless = (line: string) => (exchange: { socket: import('node:net').Socket }) => {
      const { socket } = exchange
      const more = () => {
        if (!socket.destroyed) socket.write(line.repeat(1_000), () => setImmediate(more))
      }
      socket.write('+OK\r\n', more)
      return undefined
    }
    const limits = { ...quick, messageOctets: 200_000, listingOctets: 100_000 }
    backend.on('RETR', endless('filling the disk\r\n'))
    expect((await fetchAll(await open(backend.port, { limits }), [1])).lost).toMatchObject({ kind: 'limit' })
    backend.on('UIDL', endless('1 x\r\n'))
    await expect((await open(backend.port, { limits })).uidl()).rejects.toMatchObject({ kind: 'limit' })
  })

  it('sizes that lie make no difference (P1, B4)', async () => {
    const lying = messages(3).map((message, index) => ({ ...message, size: [1, 10, 1_000_000][index]! }))
    await using backend = await scriptedPop3({ messages: lying, capabilities: ['PIPELINING'] })
    const { bodies } = await fetchAll(await open(backend.port), numbers(3))
    for (const n of numbers(3)) expect(bodies.get(n)).toEqual(lying[n - 1]!.octets)
  })

  it('two sessions lost with commands in flight: the host gets one at a time', async () => {
    await using backend = await scriptedPop3({ messages: messages(5), capabilities: ['PIPELINING'] })
    backend.on('RETR', ({ argument, socket }, usual) => {
      const ahead =
        backend.received.at(-1)!.endsWith('RETR 5') ||
        backend.received.filter((line) => line.startsWith(`${backend.sessions} RETR`)).length > 1
      if (argument === '2' && ahead) socket.destroy()
      return usual()
    })
    const profile = new BackendProfile()
    for (let session = 0; session < 2; session++)
      expect((await fetchAll(await open(backend.port, { profile }), numbers(5))).lost).toBeDefined()
    expect(profile.learned.pipeliningFails).toBe(true)
  })

  it('DELE refused for a message not retrieved in the session: retrieved, then deleted (P11)', async () => {
    await using backend = await scriptedPop3({ messages: messages(3), capabilities: ['PIPELINING'] })
    const retrieved = new Set<string>()
    backend.on('RETR', ({ session, argument }, usual) => {
      retrieved.add(`${session} ${argument}`)
      return usual()
    })
    backend.on('DELE', ({ session, argument }, usual) =>
      retrieved.has(`${session} ${argument}`) ? usual() : '-ERR message was not read\r\n',
    )
    const maildrop = await open(backend.port)
    expect(await maildrop.remove([1, 3])).toEqual(new Map())
    await maildrop.quit()
    expect(backend.messages.map(({ uidl }) => uidl)).toEqual(['id2'])
  })

  it('DELE refused for good: one message is retrieved to find out, once', async () => {
    await using backend = await scriptedPop3({ messages: messages(6), capabilities: ['PIPELINING'] })
    backend.on('DELE', () => '-ERR read-only maildrop\r\n')
    const profile = new BackendProfile()
    for (let session = 0; session < 3; session++) {
      const maildrop = await open(backend.port, { profile })
      expect((await maildrop.remove(numbers(6))).size).toBe(6)
      maildrop.close()
    }
    expect(backend.received.filter((line) => line.includes('RETR'))).toEqual(['1 RETR 1'])
  })

  it('TOP answered with a whole message: no more than the first 64 KiB are kept', async () => {
    const large = Buffer.from(`Subject: large\r\n\r\n${'x'.repeat(998)}\r\n`.repeat(3_000))
    await using backend = await scriptedPop3({ messages: [{ uidl: 'a', octets: large }] })
    backend.on('TOP', () => Buffer.concat([Buffer.from('+OK\r\n'), large, Buffer.from('.\r\n')]))
    const tops: Buffer[] = []
    await (await open(backend.port)).top(
      [1],
      0,
      (_, octets) => tops.push(octets),
      () => {},
    )
    expect(tops).toEqual([large.subarray(0, 65_536)])
  })

  it('one command at a time is no life sentence; nor is a LOGIN-DELAY that is announced no more', async () => {
    await using backend = await scriptedPop3({ messages: messages(2), capabilities: ['PIPELINING', 'LOGIN-DELAY 60'] })
    const profile = new BackendProfile()
    profile.lostInFlight()
    profile.lostInFlight()
    const maildrop = await open(backend.port, { profile })
    for (let round = 0; round < 100; round++) {
      expect(profile.learned).toEqual({ pipeliningFails: true, loginDelaySeconds: 60 })
      await fetchAll(maildrop, [1])
    }
    expect(profile.learned.pipeliningFails).toBeUndefined()
    profile.lostInFlight()
    expect(profile.learned.pipeliningFails).toBe(true)
    backend.options.capabilities = []
    await open(backend.port, { profile })
    expect(profile.learned.loginDelaySeconds).toBeUndefined()
  })

  it('QUIT without its +OK is no confirmation (P10)', async () => {
    await using backend = await scriptedPop3({ messages: messages(1) })
    backend.on('QUIT', ({ socket }) => void socket.destroy())
    const maildrop = await open(backend.port)
    await maildrop.remove([1])
    await expect(maildrop.quit()).rejects.toMatchObject({ kind: 'closed' })
  })

  it('a signal ends it at once', async () => {
    await using backend = await scriptedPop3({ messages: messages(1) })
    backend.on('RETR', () => undefined)
    const controller = new AbortController()
    const maildrop = await open(backend.port, { signal: controller.signal })
    const fetching = fetchAll(maildrop, [1])
    await backend.waitFor(/RETR/)
    controller.abort()
    expect((await fetching).lost).toMatchObject({ kind: 'stopped' })
  })
})

describe('listings (P5, P6, P13, P14, B9)', () => {
  it('17,000 lines, gaps, blanks, twice the same number, nonsense', async () => {
    await using backend = await scriptedPop3({ messages: messages(3) })
    const lines = numbers(17_000).map((n) => `${n} ${n}-x`)
    backend.on('UIDL', () => `+OK\r\n${lines.join('\r\n')}\r\n.\r\n`)
    const maildrop = await open(backend.port)
    expect((await maildrop.uidl())!.listed).toHaveLength(17_000)
    const long = 'L'.repeat(10_000)
    backend.on(
      'UIDL',
      () => `+OK\r\n1 a\r\n1 b\r\n2\r\n3 ${long}\r\n-4 x\r\n99999999999 y\r\nwhat\r\n5  \xe9 \r\n.\r\n`,
    )
    const { listed, complete } = (await maildrop.uidl())!
    expect(listed).toEqual([
      { number: 1, uidl: 'a' },
      { number: 2, uidl: '' },
      { number: 3, uidl: long },
      { number: 5, uidl: '\xe9' },
    ])
    expect(complete).toBe(true)
    backend.on('UIDL', () => '+OK\r\n1 a\r\n.\r\n')
    expect((await maildrop.uidl())!.complete).toBe(false)
    backend.on('UIDL', () => '-ERR unknown command\r\n')
    expect(await maildrop.uidl()).toBeUndefined()
    backend.on('UIDL', () => '-ERR [SYS/TEMP] later\r\n')
    await expect(maildrop.uidl()).rejects.toMatchObject({ kind: 'temporary' })
  })
})
