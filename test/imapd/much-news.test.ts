/** News of very many messages at once. */
import { describe, expect, it } from 'vitest'
import { deliver, serve, user } from './served.ts'

const count = 2000

describe('news of 2,000 messages', () => {
  it('H8, H10: is written as fast as the client reads', async () => {
    let stalling = false
    let queued = 0
    const stalled = Promise.withResolvers<void>()
    const read = Promise.withResolvers<void>()
    const served = await serve({
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
    await deliver(served.elsewhere, 'INBOX', Array<string>(count).fill('Subject: x\r\n\r\n'))
    const peer = await served.enter()
    await peer.command('s', 'SELECT INBOX')
    await using inbox = await served.elsewhere.account(user).open('INBOX')
    await inbox.changeFlags({ uids: [...inbox.messages].map(({ uid }) => uid), mode: 'add', flags: ['\\Flagged'] })
    stalling = true
    peer.write('n NOOP\r\n')
    await stalled.promise
    expect(queued).toBeGreaterThan(0)
    expect(queued).toBeLessThan(64 * 1024)
    read.resolve()
    const told = Array.from({ length: count }, (_, at) => `* ${at + 1} FETCH (FLAGS (\\Flagged \\Recent))`)
    expect(await peer.until('n')).toEqual([...told, 'n OK NOOP completed'])
  })
})
