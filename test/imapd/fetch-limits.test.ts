/** What one FETCH may make a session hold: H8, at most 1 MiB. */
import { describe, expect, it } from 'vitest'
import { ConnectionLost } from '#src/server/types.ts'
import type { Mailbox } from '#src/store/types.ts'
import { deliver, serve } from './served.ts'

const body = `${'x'.repeat(70)}\r\n`.repeat(840)
const message = `Subject: x\r\n\r\n${body}`

describe('FETCH of many sections', () => {
  it('H8: is refused above 1,000 body sections', async () => {
    const served = await serve()
    await deliver(served.elsewhere, 'INBOX', [message])
    const peer = await served.enter()
    await peer.command('s', 'SELECT INBOX')
    const items = (count: number) => Array.from({ length: count }, (_, at) => `BODY.PEEK[]<${at}.1>`).join(' ')
    expect(await peer.command('a', `FETCH 1 (${items(1001)})`)).toEqual([expect.stringMatching(/^a NO \[LIMIT\] /)])
    const [fetched, end] = await peer.command('b', `FETCH 1 (${items(1000)})`)
    expect(end).toBe('b OK FETCH completed')
    const octets = [...fetched!.matchAll(/BODY\[\]<\d+> \{1\}\r\n(.)/gs)].map(([, octet]) => octet)
    expect(octets.join('')).toBe(message.slice(0, 1000))
  })

  it('H8: reads each octet once, and no more than that', async () => {
    const reads: { mailbox: string; octets: number }[] = []
    const served = await serve({ mailbox: (mailbox) => counted(mailbox, reads) })
    await deliver(served.elsewhere, 'INBOX', Array<string>(12).fill(message))
    const peer = await served.enter()
    await peer.command('s', 'SELECT INBOX')
    await peer.command('w', 'FETCH 1:12 ENVELOPE')
    reads.length = 0
    const items = Array.from({ length: 100 }, (_, at) => `BODY.PEEK[TEXT]<${at}.50000>`)
    const lines = await peer.command('a', `FETCH 3 (${items.join(' ')})`)
    expect(lines.at(-1)).toBe('a OK FETCH completed')
    expect(lines[0]).toContain(`BODY[TEXT]<99> {50000}\r\n${body.slice(99, 50_099)})`)
    expect(reads.reduce((sum, { octets }) => sum + octets, 0)).toBeLessThanOrEqual(message.length)
    reads.length = 0
    expect((await peer.command('b', 'FETCH 3 BODY.PEEK[TEXT]<7.5>'))[0]).toBe(
      `* 3 FETCH (BODY[TEXT]<7> {5}\r\n${body.slice(7, 12)})`,
    )
    expect(reads.map(({ octets }) => octets)).toEqual([5])
  })

  it('H8: queues a few bodies for a client that does not read, and holds no more than 1 MiB', async () => {
    let queued = 0
    const stalled = Promise.withResolvers<void>()
    const read = Promise.withResolvers<void>()
    let stalling = false
    const ahead: { mailbox: string; octets: number }[] = []
    const served = await serve({
      mailbox: (mailbox) => counted(mailbox, ahead),
      connection: (connection) => ({
        write(octets) {
          if (stalling) queued += octets.length
          connection.write(octets)
        },
        drain() {
          if (!stalling) return connection.drain()
          stalled.resolve()
          return read.promise
        },
      }),
    })
    await deliver(served.elsewhere, 'INBOX', Array<string>(12).fill(message))
    const peer = await served.enter()
    await peer.command('s', 'SELECT INBOX')
    await peer.command('w', 'FETCH 1:12 ENVELOPE')
    stalling = true
    ahead.length = 0
    const items = Array.from({ length: 1000 }, (_, at) => `BODY.PEEK[]<${at}.60000>`)
    peer.write(`a FETCH 1:12 (${items.join(' ')})\r\n`)
    await stalled.promise
    expect(queued).toBeLessThan(128 * 1024)
    expect(ahead.reduce((sum, { octets }) => sum + octets, 0)).toBeLessThanOrEqual(512 * 1024)
    read.reject(new ConnectionLost('not read'))
  })
})

describe('FETCH of header fields', () => {
  it('H8, H9: reads and splits a large header once for all items', async () => {
    const reads: { mailbox: string; octets: number }[] = []
    const served = await serve({ mailbox: (mailbox) => counted(mailbox, reads) })
    const fields = Array.from({ length: 4000 }, (_, at) => `X-F${at}: ${'v'.repeat(40)}\r\n`)
    const header = `${fields.join('')}\r\n`
    await deliver(served.elsewhere, 'INBOX', [`${header}text\r\n`])
    const peer = await served.enter()
    await peer.command('s', 'SELECT INBOX')
    await peer.command('w', 'FETCH 1 ENVELOPE')
    reads.length = 0
    const items = Array.from({ length: 900 }, (_, at) => `BODY.PEEK[HEADER.FIELDS (X-F${at})]`)
    const [fetched] = await peer.command('a', `FETCH 1 (${items.join(' ')} BODY.PEEK[HEADER.FIELDS.NOT (X-F0)]<0.8>)`)
    expect(reads.map(({ octets }) => octets)).toEqual([header.length])
    const field = `X-F899: ${'v'.repeat(40)}\r\n\r\n`
    expect(fetched).toContain(`BODY[HEADER.FIELDS (X-F899)] {${field.length}}\r\n${field}`)
    expect(fetched).toContain('BODY[HEADER.FIELDS.NOT (X-F0)]<0> {8}\r\nX-F1: vv')
  })
})

/** Notes what is read of the mailbox's messages. */
function counted(mailbox: Mailbox, reads: { mailbox: string; octets: number }[]): Partial<Mailbox> {
  const note = (octets: Buffer) => {
    reads.push({ mailbox: mailbox.name, octets: octets.length })
    return octets
  }
  return {
    part: async (record, start, end) => note(await mailbox.part(record, start, end)),
    async content(record) {
      const content = await mailbox.content(record)
      return {
        sizeOctets: content.sizeOctets,
        read: async (start, end) => note(await content.read(start, end)),
        async *stream(start, end) {
          for await (const chunk of content.stream(start, end)) yield note(chunk)
        },
        [Symbol.asyncDispose]: () => content[Symbol.asyncDispose](),
      }
    },
  }
}
