/** Both sides of the gateway, kept in step: new mail by IDLE, deletions in both directions. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Dovecot, startDovecot } from '../support/dovecot.ts'
import { sampleMessages } from '../support/messages.ts'
import { RawImap } from '../support/raw-imap.ts'
import { RawPop3 } from '../support/raw-pop3.ts'
import { startWherry, type Wherry } from '../support/wherry.ts'

const intervalSeconds = 2

describe('a mailbox and its backend', () => {
  let dovecot: Dovecot
  let wherry: Wherry

  beforeAll(async () => {
    dovecot = await startDovecot({ users: { joe: 'secret' }, protocols: ['pop3'] })
    await dovecot.fill('joe', sampleMessages(20))
    wherry = await startWherry({
      options: { ms_syncd_host: '127.0.0.1', ms_syncd_port: dovecot.pop3Port, ms_sync_interval: intervalSeconds },
    })
  })

  afterAll(async () => {
    await wherry?.stop()
    await dovecot?.stop()
  })

  const backendUidls = async () => {
    await using pop3 = await RawPop3.login(dovecot.pop3Port, 'joe', 'secret')
    return (await pop3.lines('UIDL'))
      .toString('latin1')
      .split('\r\n')
      .filter(Boolean)
      .map((line) => line.split(' ')[1]!)
  }

  const selected = async () => {
    const imap = await RawImap.connect(wherry.imapPort)
    await imap.login('joe', 'secret')
    const lines = await imap.command('SELECT INBOX')
    const exists = lines.map((line) => /^\* (\d+) EXISTS$/.exec(line.text)?.[1]).find(Boolean)
    return { imap, exists: Number(exists) }
  }

  /** As soon as ms_syncd is back. */
  const selectedSoon = async () => {
    await expect
      .poll(
        () =>
          selected().then(
            async ({ imap }) => {
              await imap[Symbol.asyncDispose]()
              return true
            },
            () => false,
          ),
        { timeout: 20_000 },
      )
      .toBe(true)
    return await selected()
  }

  it('tells an idling client of new mail within the interval plus 1 s (GW-05, GW-11, DEP-01)', async () => {
    const { imap, exists } = await selected()
    await using _ = imap
    imap.send('i IDLE\r\n')
    await imap.until(/^\+/)
    const delivered = performance.now()
    await dovecot.fill('joe', sampleMessages(1, 77))
    await imap.until(new RegExp(`^\\* ${exists + 1} EXISTS`))
    expect((performance.now() - delivered) / 1000).toBeLessThan(intervalSeconds + 1)
  })

  it('deletes at the backend what a client expunges, and nothing else (GW-07)', async () => {
    const before = await backendUidls()
    const { imap } = await selected()
    await using _ = imap
    await imap.command('STORE 2,4 +FLAGS.SILENT (\\Deleted)')
    await imap.command('EXPUNGE')
    await expect
      .poll(backendUidls, { timeout: 20_000 })
      .toEqual(before.filter((_uidl, index) => index !== 1 && index !== 3))
  })

  it('lets go of what vanished at the backend', async () => {
    const { imap, exists } = await selected()
    await using _ = imap
    imap.send('i IDLE\r\n')
    await imap.until(/^\+/)
    {
      await using pop3 = await RawPop3.login(dovecot.pop3Port, 'joe', 'secret')
      await pop3.command('DELE 1')
      await pop3.command('QUIT')
    }
    const line = await imap.until(/^\* \d+ EXPUNGE$/)
    expect(line.text).toBe('* 1 EXPUNGE')
    imap.send('DONE\r\n')
    await imap.until(/^i OK/)
    const [status] = await imap.command('STATUS INBOX (MESSAGES)')
    expect(status?.text).toContain(`MESSAGES ${exists - 1}`)
  })

  it('leaves an appended message alone (GW-10)', async () => {
    const { imap, exists } = await selected()
    await using _ = imap
    await imap.command('APPEND INBOX (\\Seen) {24+}\r\nSubject: kept here\r\n\r\n..')
    const syncs = () =>
      wherry
        .log()
        .split('\n')
        .filter((line) => line.includes('ms_syncd')).length
    const seen = syncs()
    await dovecot.fill('joe', sampleMessages(1, 78))
    await imap.command('NOOP')
    await expect
      .poll(async () => (await imap.command('STATUS INBOX (MESSAGES)'))[0]?.text, { timeout: 20_000 })
      .toContain(`MESSAGES ${exists + 2}`)
    expect(syncs()).toBeGreaterThanOrEqual(seen)
    expect((await imap.command('SEARCH SUBJECT "kept here"'))[0]?.text).toMatch(/^\* SEARCH \d+$/)
  })

  it('says goodbye to a waiting client when ms_syncd was replaced, and fetches again after the next login', async () => {
    const { imap } = await selected()
    await using _ = imap
    imap.send('i IDLE\r\n')
    await imap.until(/^\+/)
    for (const pid of wherry.pids('ms_syncd')) process.kill(pid, 'SIGKILL')
    expect((await imap.until(/^\* BYE/)).text).toContain('log in again')
    await using again = (await selectedSoon()).imap
    again.send('i IDLE\r\n')
    await again.until(/^\+/)
    await dovecot.fill('joe', sampleMessages(1, 79))
    await again.until(/^\* \d+ EXISTS/)
  })
})
