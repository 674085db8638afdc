import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { silentLog } from '#src/base/log.ts'
import { append } from '../../../../gateway/backend/imap/append.ts'
import { ImapConnection } from '../../../../gateway/backend/imap/connection.ts'
import { openImap } from '../../../../gateway/backend/imap/open.ts'
import { BackendProfile } from '../../../../gateway/backend/profile.ts'
import { type Dovecot, startDovecot } from '../../../support/dovecot.ts'
import { quick } from '../maildrop.ts'

const octets = Buffer.from(`Subject: large\r\n\r\n${'0123456789abcdef'.repeat(4).concat('\r\n').repeat(50_000)}`)

async function* pieces(of: Buffer, size = 65_536): AsyncIterable<Buffer> {
  for (let at = 0; at < of.length; at += size) yield of.subarray(at, at + size)
}
const message = { flags: ['\\Seen', 'Work'], internalDate: 1_700_000_000 }

describe('a large message on its way to a real IMAP server', () => {
  let dovecot: Dovecot
  beforeAll(async () => {
    dovecot = await startDovecot({ users: { anna: 'secret' }, protocols: ['imap'] })
  })
  afterAll(() => dovecot.stop())
  const logIn = () =>
    openImap({
      host: '127.0.0.1',
      port: dovecot.imapPort,
      implicitTls: false,
      startTls: 'offered',
      tlsVerify: false,
      credentials: { user: 'anna', secret: Buffer.from('secret') },
      profile: new BackendProfile(),
      log: silentLog,
    })
  const content = () => ({ sizeOctets: octets.length, chunks: pieces(octets), isBinary: false })

  it('is there octet for octet, with flags and date, and the connection goes on', async () => {
    const { connection } = await logIn()
    const told = await append(connection, { path: 'INBOX', ...message, content: content() })
    expect(told).toMatchObject({ uid: 1 })
    await connection.run({ words: ['SELECT INBOX'] })
    let body: Uint8Array = Buffer.alloc(0)
    let line = ''
    const status = await connection.run({
      words: ['UID FETCH 1 (FLAGS INTERNALDATE BODY.PEEK[])'],
      untagged: (parts) => {
        if (!String(parts[0]).includes('FETCH')) return
        line = String(parts[0])
        body = parts.find((part) => Buffer.isBuffer(part)) as Uint8Array
      },
    })
    expect(status.condition).toBe('OK')
    expect(createHash('sha256').update(body).digest('hex')).toBe(createHash('sha256').update(octets).digest('hex'))
    expect(line).toMatch(/\\Seen/)
    expect(line).toMatch(/Work/)
    expect(line).toMatch(/14-Nov-2023/)
    connection.close()
  })

  it('is refused with the words of the server, before an octet is read', async () => {
    const { connection } = await logIn()
    let isRead = false
    const chunks = (async function* () {
      isRead = true
      yield octets
    })()
    await expect(
      append(connection, {
        path: 'No such mailbox',
        ...message,
        content: { sizeOctets: octets.length, chunks, isBinary: false },
      }),
    ).rejects.toMatchObject({ kind: 'temporary', serverText: expect.stringContaining('TRYCREATE') })
    expect(isRead).toBe(false)
    expect((await connection.run({ words: ['NOOP'] })).condition).toBe('OK')
    connection.close()
  })

  it('that can not be read to its end ends the connection, and is not there', async () => {
    const { connection } = await logIn()
    const short = { sizeOctets: octets.length + 1, chunks: pieces(octets), isBinary: false }
    await expect(append(connection, { path: 'INBOX', ...message, content: short })).rejects.toMatchObject({
      kind: 'stopped',
    })
    const { connection: other } = await logIn()
    let exists = -1
    await other.run({
      words: ['EXAMINE INBOX'],
      untagged: ([line]) => {
        const match = /^(\d+) EXISTS/.exec(String(line))
        if (match !== null) exists = Number(match[1])
      },
    })
    expect(exists).toBe(1)
    other.close()
  })
})

it('a server that reads no more holds the message back, and not for ever', async () => {
  const server = createServer((socket) => {
    socket.on('error', () => {})
    socket.write('* OK hello\r\n')
    socket.once('data', () => {
      socket.write('+ go\r\n')
      socket.pause()
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const { connection } = await ImapConnection.open({ host: '127.0.0.1', port, implicitTls: false }, quick)
  let read = 0
  const chunk = Buffer.alloc(65_536)
  const chunks = (async function* () {
    for (; read < 256 * 1_048_576; read += chunk.length) yield chunk
  })()
  const sizeOctets = 256 * 1_048_576
  const sent = append(connection, { path: 'INBOX', ...message, content: { sizeOctets, chunks, isBinary: false } })
  await expect(sent).rejects.toMatchObject({ kind: 'timeout' })
  // What the kernel took on both sides, and little more.
  expect(read).toBeLessThan(32 * 1_048_576)
  server.close()
})
