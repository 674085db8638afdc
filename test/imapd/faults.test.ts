/** A store that does not answer, and mailboxes that are gone: what works on, and what is said. */
import { globSync, writeFileSync } from 'node:fs'
import { describe, expect, it, vi } from 'vitest'
import { systemClock } from '#src/base/clock.ts'
import { StoreError } from '#src/base/errors.ts'
import { deliver, serve, user } from './served.ts'
import type { Peer } from './transcript.ts'

const message = 'Subject: x\r\n\r\ntext\r\n'

/** A daemon whose mailboxes can be made to refuse every look. */
async function failing() {
  let broken = false
  const looks = { failed: 0 }
  const served = await serve({
    mailbox: (mailbox) => ({
      refresh() {
        if (!broken) return mailbox.refresh()
        looks.failed++
        return Promise.reject(new StoreError('unavailable', 'input/output error'))
      },
    }),
  })
  await deliver(served.elsewhere, 'INBOX', [message])
  await deliver(served.elsewhere, 'Other', [message])
  const look = () => served.bus.hear({ topic: `mbox:${user}`, name: 'changed', fields: {} })
  const failedLook = async () => {
    const before = looks.failed
    look()
    await vi.waitFor(() => expect(looks.failed).toBeGreaterThan(before))
  }
  const turn = (how: 'off' | 'on') => {
    broken = how === 'off'
  }
  return { ...served, look, failedLook, turn }
}

const entries = ({ records }: { records: readonly { message: string }[] }, text: string) =>
  records.filter((record) => record.message.includes(text))

describe('a store that does not answer for a while', () => {
  it('is no end of IDLE: it is looked at again, and logged once', async () => {
    const imapd = await failing()
    const peer = await imapd.enter()
    await peer.command('s', 'SELECT INBOX')
    peer.write('i IDLE\r\n')
    expect(await peer.line()).toBe('+ idling')
    imapd.turn('off')
    await imapd.failedLook()
    await imapd.failedLook()
    imapd.turn('on')
    await deliver(imapd.elsewhere, 'INBOX', [message])
    imapd.look()
    expect(await peer.line()).toBe('* 2 EXISTS')
    expect(await peer.line()).toBe('* 2 RECENT')
    peer.write('DONE\r\n')
    expect(await peer.line()).toBe('i OK IDLE completed')
    expect(await peer.command('n', 'NOOP')).toEqual(['n OK NOOP completed'])
    expect(entries(imapd, 'can not be looked at')).toHaveLength(1)
    expect(entries(imapd, 'defect')).toEqual([])
  })

  it('keeps nobody from what needs no look at the mailbox, least of all from LOGOUT', async () => {
    const imapd = await failing()
    const peer = await imapd.enter()
    await peer.command('s', 'SELECT INBOX')
    imapd.turn('off')
    expect((await peer.command('a', 'FETCH 1 FLAGS')).at(-1)).toMatch(/^a NO \[UNAVAILABLE\] /)
    for (const command of [
      'NOOP',
      'CHECK',
      'CAPABILITY',
      'ID NIL',
      'LIST "" *',
      'LSUB "" *',
      'STATUS Other (MESSAGES)',
      'UNSELECT',
    ])
      expect((await peer.command('b', command)).at(-1), command).toMatch(/^b OK /)
    imapd.turn('on')
    await peer.command('s', 'SELECT INBOX')
    imapd.turn('off')
    expect(await peer.command('c', 'LOGOUT')).toEqual(['* BYE Logging out', 'c OK LOGOUT completed'])
    await peer.closed()
  })
})

describe('a mailbox that another session deleted', () => {
  const leaving: readonly (readonly [string, (peer: Peer) => Promise<void>])[] = [
    [
      'LOGOUT',
      async (peer) => {
        expect(await peer.command('l', 'LOGOUT')).toEqual(['* BYE Logging out', 'l OK LOGOUT completed'])
        await peer.closed()
      },
    ],
    ...['SELECT INBOX', 'EXAMINE INBOX', 'UNSELECT', 'CLOSE'].map(
      (command) =>
        [
          command,
          async (peer: Peer) => {
            expect((await peer.command('l', command)).at(-1)).toMatch(/^l OK /)
            expect(await peer.command('n', 'NOOP')).toEqual(['n OK NOOP completed'])
          },
        ] as const,
    ),
  ]
  it.each(leaving)('is left by %s', async (_command, leave) => {
    const imapd = await serve()
    const [one, two] = [await imapd.enter(), await imapd.enter()]
    await one.command('a', 'CREATE lists')
    await two.command('b', 'SELECT lists')
    await one.command('c', 'DELETE lists')
    await leave(two)
    expect(entries(imapd, 'defect')).toEqual([])
  })

  it('ends whoever asks for its messages', async () => {
    const imapd = await serve()
    const [one, two] = [await imapd.enter(), await imapd.enter()]
    await one.command('a', 'CREATE lists')
    await two.command('b', 'SELECT lists')
    await one.command('c', 'DELETE lists')
    two.write('d UID FETCH 1:* FLAGS\r\n')
    expect(await two.line()).toBe('* BYE The selected mailbox was deleted')
    await two.closed()
  })

  it('ends IDLE', async () => {
    const imapd = await serve()
    const [one, two] = [await imapd.enter(), await imapd.enter()]
    await one.command('a', 'CREATE lists')
    await two.command('b', 'SELECT lists')
    two.write('i IDLE\r\n')
    expect(await two.line()).toBe('+ idling')
    await one.command('c', 'DELETE lists')
    imapd.bus.hear({ topic: `mbox:${user}`, name: 'changed', fields: {} })
    expect(await two.line()).toBe('* BYE The selected mailbox was deleted')
    await two.closed()
  })
})

describe('a mailbox that was repaired, so that its UIDs are others now', () => {
  it('ends the sessions that know the old ones, idle or not', async () => {
    let lateMs = 0
    const imapd = await serve({ clock: { ...systemClock, now: () => Date.now() + lateMs } })
    await deliver(imapd.elsewhere, 'INBOX', [message, message])
    const [busy, idle] = [await imapd.enter(), await imapd.enter()]
    for (const peer of [busy, idle]) await peer.command('s', 'SELECT INBOX')
    idle.write('i IDLE\r\n')
    expect(await idle.line()).toBe('+ idling')
    await deliver(imapd.elsewhere, 'INBOX', [message])
    lateMs = 86_400_000
    writeFileSync(globSync(`${imapd.directory}/user/*/INBOX/log/*/[0-9]*`).sort().at(-1)!, '')
    busy.write('f UID STORE 1 +FLAGS (\\Deleted)\r\n')
    for (const peer of [busy, idle]) {
      expect(await peer.line()).toMatch(/^\* BYE /)
      await peer.closed()
    }
    const again = await imapd.enter()
    expect(await again.command('s', 'SELECT INBOX')).toContain('* 3 EXISTS')
    expect((await again.command('u', 'SEARCH DELETED'))[0]).toBe('* SEARCH')
  })
})
