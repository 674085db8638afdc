/** What happens when nothing does: IMAP-04, IMAP-06. */
import { afterEach, describe, expect, it, vi } from 'vitest'
import { keptAlive } from '#src/imapd/keep-alive.ts'
import { startImapd } from './support.ts'
import { Peer } from './transcript.ts'

const user = 'anna@example.org'
afterEach(() => void vi.useRealTimers())

describe('an idle session', () => {
  it('IMAP-04, IX-08: is closed after imap_timeout minutes, IDLE or not', async () => {
    await using imapd = await startImapd([user], { imap_timeout: 45 })
    for (const last of ['NOOP', 'IDLE']) {
      const peer = await Peer.open(imapd)
      await peer.line()
      await peer.command('a', `LOGIN ${user} secret`)
      vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
      peer.write(`b ${last}\r\n`)
      const reply = await peer.line()
      expect(reply).toMatch(/^(b OK|\+) /)
      vi.advanceTimersByTime(44 * 60_000)
      peer.write(last === 'NOOP' ? 'c NOOP\r\n' : 'DONE\r\n')
      expect(await peer.line()).toMatch(/ OK /)
      vi.advanceTimersByTime(44 * 60_000)
      vi.advanceTimersByTime(2 * 60_000)
      expect(await peer.line()).toBe('* BYE Idle for too long')
      vi.useRealTimers()
      await peer.closed()
    }
  })
})

describe('a long COPY', () => {
  const told: string[] = []
  const session = {
    untagged: (_: string, text: string) => void told.push(text),
    output: { flush: () => void told.push('flush') },
  } as unknown as Parameters<typeof keptAlive>[0]
  const text = () => 'Still copying'

  it('IMAP-06: is accompanied by untagged responses, until it ends', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
    const { promise, resolve } = Promise.withResolvers<string>()
    const kept = keptAlive(session, 60_000, text, promise)
    vi.advanceTimersByTime(59_000)
    expect(told).toEqual([])
    vi.advanceTimersByTime(61_000)
    expect(told).toEqual(['Still copying', 'flush', 'Still copying', 'flush'])
    resolve('copied')
    expect(await kept).toBe('copied')
    vi.advanceTimersByTime(600_000)
    expect(told.length).toBe(4)
  })

  it('IMAP-06: is not with imap_keepalive 0', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
    const { promise, resolve } = Promise.withResolvers<string>()
    told.length = 0
    const kept = keptAlive(session, 0, text, promise)
    vi.advanceTimersByTime(600_000)
    resolve('copied')
    await kept
    expect(told).toEqual([])
  })
})
