/** COMPRESS, RFC 4978. Other zlibs than Node's: clients.test.ts */
import { randomBytes } from 'node:crypto'
import { connect } from 'node:net'
import { constants, deflateRawSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest'
import { type RunningImapd, startImapd } from './support.ts'
import { Peer } from './transcript.ts'

const user = 'anna@example.org'
let imapd: RunningImapd
beforeAll(async () => {
  imapd = await startImapd([user])
})
afterAll(() => imapd.stop())

async function enter(): Promise<Peer> {
  const peer = await Peer.open(imapd)
  onTestFinished(() => peer.destroy())
  await peer.line()
  await peer.command('login', `LOGIN ${user} secret`)
  return peer
}

async function compressed(chunkOctets?: number): Promise<Peer> {
  const clear = await enter()
  expect(await clear.command('z', 'COMPRESS DEFLATE')).toEqual(['z OK DEFLATE active'])
  const peer = clear.compress(chunkOctets)
  onTestFinished(() => peer.destroy())
  return peer
}

describe('COMPRESS', () => {
  it('is there behind the login, once, for DEFLATE', async () => {
    const early = await Peer.open(imapd)
    onTestFinished(() => early.destroy())
    expect(await early.line()).not.toContain('COMPRESS')
    expect(await early.command('a', 'COMPRESS DEFLATE')).toEqual(['a BAD Log in first'])
    const peer = await enter()
    expect((await peer.command('a', 'CAPABILITY'))[0]).toMatch(/ COMPRESS=DEFLATE\b/)
    for (const wrong of ['COMPRESS', 'COMPRESS LZW', 'COMPRESS "DEFLATE"', 'COMPRESS DEFLATE 9'])
      expect((await peer.command('b', wrong)).at(-1), wrong).toMatch(/^b BAD /)
    peer.write('c compress deflate\r\nd NOOP\r\n')
    expect((await peer.until('d')).at(0)).toMatch(/^c BAD Commands behind COMPRESS/)
    expect(await peer.command('e', 'compress deflate')).toEqual(['e OK DEFLATE active'])
    const small = peer.compress()
    expect(await small.command('f', 'COMPRESS DEFLATE')).toEqual([
      'f NO [COMPRESSIONACTIVE] DEFLATE active via COMPRESS',
    ])
    expect((await small.command('g', 'CAPABILITY'))[0]).not.toContain('COMPRESS')
    expect((await small.command('h', 'LOGOUT')).at(-1)).toMatch(/^h OK/)
    await small.closed()
  })

  it('takes a stream in pieces of one octet, and literals in it', async () => {
    const peer = await compressed(1)
    expect((await peer.command('a', 'APPEND INBOX {18}\r\nSubject: small\r\n\r\n')).at(-1)).toMatch(/^a OK/)
    await peer.command('b', 'SELECT INBOX')
    expect((await peer.command('c', 'FETCH * BODY.PEEK[HEADER]'))[0]).toContain('Subject: small')
  })

  it('tells an idle client at once', async () => {
    const [idle, other] = [await compressed(), await enter()]
    const before = Number(/\* (\d+) EXISTS/.exec((await idle.command('a', 'SELECT INBOX')).join())![1])
    idle.write('b IDLE\r\n')
    expect(await idle.line()).toMatch(/^\+/)
    await other.command('c', 'APPEND INBOX {17+}\r\nSubject: news\r\n\r\n')
    expect(await idle.line()).toBe(`* ${before + 1} EXISTS`)
  })

  it('carries much both ways', async () => {
    const peer = await compressed()
    const text = `Subject: much\r\n\r\n${randomBytes(300_000).toString('base64')}\r\n`
    expect((await peer.command('a', `APPEND INBOX {${text.length}}\r\n${text}`)).at(-1)).toMatch(/^a OK/)
    await peer.command('b', 'SELECT INBOX')
    expect((await peer.command('c', 'FETCH * BODY.PEEK[]'))[0]).toContain(text)
  })

  it('gives its compressor up in a quiet time, and goes on', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    onTestFinished(() => void vi.useRealTimers())
    const socket = connect(imapd.port, imapd.host)
    onTestFinished(() => void socket.destroy())
    let octets = Buffer.alloc(0)
    let wake = () => {}
    socket.on('data', (more: Buffer) => {
      octets = Buffer.concat([octets, more])
      wake()
    })
    /** The octets of an answer, when they end in a flush. */
    const answer = async (command: string | Buffer, end: RegExp) => {
      octets = Buffer.alloc(0)
      socket.write(command)
      while (!end.test(octets.toString('latin1'))) await new Promise<void>((resolve) => (wake = resolve))
      return octets.length
    }
    await answer('', /ready\r\n/)
    await answer(`a LOGIN ${user} secret\r\n`, /^a OK.*\r\n/m)
    await answer('b COMPRESS DEFLATE\r\n', /^b OK.*\r\n/m)
    const sent = { finishFlush: constants.Z_SYNC_FLUSH }
    const ask = () => answer(deflateRawSync('c CAPABILITY\r\n', sent), /\0\0\xff\xff$/)
    const first = await ask()
    const second = await ask()
    expect(second).toBeLessThan(first / 4)
    vi.advanceTimersByTime(4_000)
    expect(await ask()).toBeLessThan(first / 4)
    vi.advanceTimersByTime(6_000)
    expect(await ask()).toBe(first)
    expect(await ask()).toBeLessThan(first / 4)
  })
})

describe('H11: what comes compressed', () => {
  it('counts by what it becomes: a line of 20 MB in 20 KB is refused and skipped, and needs no memory', async () => {
    const clear = await enter()
    await clear.command('z', 'COMPRESS DEFLATE')
    const before = process.memoryUsage().arrayBuffers
    const million = deflateRawSync(Buffer.alloc(1_000_000, 'A'), { finishFlush: constants.Z_FULL_FLUSH })
    for (let i = 0; i < 20; i++) clear.write(million.toString('latin1'))
    const peer = clear.compress()
    expect(await peer.line()).toMatch(/^\* BAD command: longer than /)
    peer.write('\r\n')
    expect(await peer.command('a', 'NOOP')).toEqual(['a OK NOOP completed'])
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(8 << 20)
  })

  it('and is no stream ends the connection', async () => {
    const clear = await enter()
    await clear.command('z', 'COMPRESS DEFLATE')
    clear.write('a NOOP\r\n')
    await clear.closed()
    expect(imapd.records.filter(({ message }) => message === 'connection cut').at(-1)?.fields.reason).toMatch(
      /is not compressed properly/,
    )
  })

  it('and ends is a client that closes', async () => {
    const clear = await enter()
    await clear.command('z', 'COMPRESS DEFLATE')
    clear.write(deflateRawSync('a LOGOUT\r\n').toString('latin1'))
    await clear.closed()
  })
})
