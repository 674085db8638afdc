/** What reaches an idle client, by whatever way it comes; and what others see of a session. RFC 2177, EVT-15, GW-11 */
import { afterEach, describe, expect, it, vi } from 'vitest'
import { startImapd } from './support.ts'
import { Peer } from './transcript.ts'

const user = 'anna@example.org'
const message = '{14+}\r\nSubject: x\r\n\r\n'

async function enter(imapd: { host: string; port: number }): Promise<Peer> {
  const peer = await Peer.open(imapd)
  await peer.line()
  await peer.command('login', `LOGIN ${user} secret`)
  return peer
}

async function idle(peer: Peer): Promise<void> {
  await peer.command('s', 'SELECT INBOX')
  peer.write('i IDLE\r\n')
  expect(await peer.line()).toBe('+ idling')
}

afterEach(() => void vi.useRealTimers())

describe('an idle session', () => {
  it('GW-11: hears of mail that another process stored, by the event channel', async () => {
    await using imapd = await startImapd([user])
    await using other = await imapd.twin()
    const [waiting, delivering] = [await enter(imapd), await enter(other)]
    await idle(waiting)
    await delivering.command('a', `APPEND INBOX ${message}`)
    const event = other.bus.published.find(({ topic }) => topic === `mbox:${user}`)
    expect(event).toMatchObject({ fields: { mailbox: 'INBOX', added: 1 } })
    imapd.bus.hear(event!)
    expect(await waiting.line()).toBe('* 1 EXISTS')
    expect(await waiting.line()).toBe('* 1 RECENT')
    waiting.write('done\r\n')
    expect(await waiting.line()).toBe('i OK IDLE completed')
  })

  it('P29, IX-07: hears of it within ten seconds without events', async () => {
    vi.useFakeTimers({ toFake: ['setInterval'] })
    await using imapd = await startImapd([user])
    await using other = await imapd.twin()
    imapd.bus.connected = false
    const [waiting, delivering] = [await enter(imapd), await enter(other)]
    await idle(waiting)
    await delivering.command('a', `APPEND INBOX ${message}`)
    vi.advanceTimersByTime(10_000)
    expect(await waiting.line()).toBe('* 1 EXISTS')
  })

  it('answers BAD to anything but DONE, and goes on', async () => {
    await using imapd = await startImapd([user])
    const peer = await enter(imapd)
    await idle(peer)
    peer.write('x NOOP\r\n')
    expect(await peer.line()).toMatch(/^i BAD /)
    expect(await peer.command('y', 'NOOP')).toEqual(['y OK NOOP completed'])
  })

  it('works without a mailbox', async () => {
    await using imapd = await startImapd([user])
    const peer = await enter(imapd)
    peer.write('i IDLE\r\nDONE\r\n')
    expect(await peer.line()).toBe('+ idling')
    expect(await peer.line()).toBe('i OK IDLE completed')
  })

  it('is told BYE when the mailbox is deleted, and when the daemon stops', async () => {
    await using imapd = await startImapd([user])
    const [one, two, three] = [await enter(imapd), await enter(imapd), await enter(imapd)]
    await one.command('a', 'CREATE lists')
    await two.command('b', 'SELECT lists')
    await one.command('c', 'DELETE lists')
    two.write('d NOOP\r\n')
    expect(await two.line()).toBe('* BYE The selected mailbox was deleted')
    await two.closed()
    await idle(three)
    const stopped = imapd.stop()
    expect(await three.line()).toBe('* BYE the service is stopping')
    await stopped
  })
})

describe('the announcement of a session', () => {
  it('follows what it does', async () => {
    await using imapd = await startImapd([user])
    const presence = () => [...imapd.bus.announced].map((entry) => entry.presence)[0]
    const peer = await Peer.open(imapd)
    await peer.line()
    expect(presence()).toMatchObject({ service: 'imap', clientAddress: '127.0.0.1', activity: 'connected' })
    await peer.command('a', `LOGIN ${user} secret`)
    expect(presence()).toMatchObject({ user, activity: 'authenticated' })
    await idle(peer)
    expect(presence()).toMatchObject({ user, activity: 'idling', mailbox: 'INBOX' })
    peer.write('DONE\r\n')
    await peer.line()
    expect(presence()).toMatchObject({ activity: 'selected', mailbox: 'INBOX' })
    await peer.command('z', 'LOGOUT')
    await peer.closed()
    await vi.waitFor(() => expect(presence()).toBeUndefined())
  })
})
