/** A user's mail goes to another disk while he is logged in, and nothing of what clients and backend know is lost. */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { startDovecot } from '../support/dovecot.ts'
import { sampleMessages } from '../support/messages.ts'
import { RawImap } from '../support/raw-imap.ts'
import { startWherry } from '../support/wherry.ts'

const msadm = resolve(import.meta.dirname, '../../bin/msadm')

it('a session ends when the mail is moved, and the next one finds everything as before; nothing is fetched again', async () => {
  const other = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'wherry-disk2-'))
  onTestFinished(() => rmSync(other, { recursive: true, force: true }))
  const disk2 = join(other, 'user')
  mkdirSync(disk2)
  await using dovecot = await startDovecot({ users: { joe: 'secret' }, protocols: ['pop3'] })
  await dovecot.fill('joe', sampleMessages(20))
  await using wherry = await startWherry({
    options: {
      ms_syncd_host: '127.0.0.1',
      ms_syncd_port: dovecot.pop3Port,
      ms_sync_interval: 1,
      backend_fast_login: false,
      partitions: disk2,
      partition_rule: 'first',
    },
  })
  const login = async () => {
    const imap = await RawImap.connect(wherry.imapPort)
    await imap.login('joe', 'secret')
    return imap
  }
  const texts = async (imap: RawImap, command: string) => (await imap.command(command)).map((line) => line.text)
  const state = async (imap: RawImap) => ({
    status: await texts(imap, 'STATUS INBOX (MESSAGES UIDNEXT UIDVALIDITY)'),
    selected: (await texts(imap, 'EXAMINE INBOX')).filter((text) => /UIDVALIDITY|UIDNEXT|EXISTS/.test(text)),
    messages: (await texts(imap, 'FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE)')).filter((text) =>
      text.includes('FETCH ('),
    ),
    lists: (await texts(imap, 'LIST "" "*"'))
      .concat(await texts(imap, 'LSUB "" "*"'))
      .filter((text) => text.startsWith('*')),
  })

  const session = await login()
  await session.command('CREATE lists/node')
  await session.command('SUBSCRIBE lists/node')
  await session.command('SELECT INBOX')
  await session.command('STORE 3:5 +FLAGS (\\Flagged work)')
  await session.command('UNSELECT')
  const before = await state(await login())
  expect(before.messages).toHaveLength(20)
  await session.command('SELECT INBOX')
  const moved = spawnSync(msadm, ['-c', wherry.configFile, '--json', 'move', '-q', 'joe@gateway.example', disk2], {
    encoding: 'utf8',
  })
  expect(moved).toMatchObject({ status: 0, stderr: '' })
  expect(JSON.parse(moved.stdout)).toMatchObject({ userId: 'joe@gateway.example', to: disk2 })
  await expect(session.command('NOOP')).rejects.toThrow()

  const fetched = wherry.log().length
  expect(await state(await login())).toEqual(before)
  // New mail comes to the new place, and only that.
  await dovecot.fill('joe', [Buffer.from('Subject: after\r\n\r\nthe move\r\n')])
  const after = await login()
  await expect
    .poll(async () => (await texts(after, 'STATUS INBOX (MESSAGES)')).find((text) => text.startsWith('* STATUS')), {
      timeout: 20_000,
    })
    .toBe('* STATUS INBOX (MESSAGES 21)')
  expect(await texts(after, 'EXAMINE INBOX')).toContain('* 21 EXISTS')
  expect(existsSync(join(disk2, 'joe@gateway.example', 'INBOX', 'log'))).toBe(true)
  expect(existsSync(join(wherry.userDirectory, 'joe@gateway.example'))).toBe(false)
  expect(wherry.log().slice(fetched)).not.toMatch(/polling ended|SERVERBUG|command failed/)
}, 90_000)
