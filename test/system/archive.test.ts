/** Users whose mail lies in an archive, on a medium that takes no writes, served to real clients. */
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { systemClock } from '#src/base/clock.ts'
import type { UserId } from '#src/base/ids.ts'
import { silentLog } from '#src/base/log.ts'
import { openStore } from '#src/store/store.ts'
import { sampleMessages } from '../support/messages.ts'
import { RawImap } from '../support/raw-imap.ts'
import { RawPop3 } from '../support/raw-pop3.ts'
import { readOnlyMount } from '../support/read-only-mount.ts'
import { startWherry } from '../support/wherry.ts'

const msadm = resolve(import.meta.dirname, '../../bin/msadm')

async function archive(root: string): Promise<readonly Buffer[]> {
  const messages = sampleMessages(5)
  await using store = openStore({ root, clock: systemClock, log: silentLog })
  const account = store.account('joe@gateway.example' as UserId)
  await account.ensure()
  await account.create('Old')
  await using inbox = await account.open('INBOX')
  await using delivery = inbox.deliver()
  for (const message of messages) {
    const sink = delivery.add({ internalDate: 1_700_000_000 })
    await sink.write(message)
    await sink.end()
  }
  await delivery.commit()
  return messages
}

it('IMAP and POP3 serve an archive from a read-only mount and say what it is; msadm lists and checks it (MDIR-06)', async () => {
  const root = mkdtempSync(join(tmpdir(), 'wherry-archive-'))
  onTestFinished(() => rmSync(root, { recursive: true, force: true }))
  mkdirSync(join(root, 'user'))
  const messages = await archive(join(root, 'user'))
  using mount = readOnlyMount(join(root, 'user'))
  await using wherry = await startWherry({
    options: { gateway_mode: false, archives: mount.directory },
    services: ['mseventd', 'imapd', 'pop3d'],
  })
  const admin = (words: string[], input = '') =>
    spawnSync(msadm, ['-c', wherry.configFile, ...words], { encoding: 'utf8', input })
  for (const name of ['joe', 'ann'])
    expect(admin(['add', '-p', '-', name], 'secret\n')).toMatchObject({ status: 0, stderr: '' })

  // A client of others: the octets are those that came.
  const url = `imap://127.0.0.1:${wherry.imapPort}`
  const curl = (...words: string[]) =>
    execFileSync('curl', ['-sS', '-u', 'joe:secret', ...words], { stdio: ['ignore', 'pipe', 'pipe'] })
  expect(curl(`${url}/INBOX;MAILINDEX=2`)).toEqual(messages[1])
  expect(curl(url, '-X', 'LIST "" *').toString()).toContain(' Old')

  const imap = await RawImap.connect(wherry.imapPort)
  await imap.login('joe', 'secret')
  const answer = async (command: string, client = imap) => {
    client.send(`x ${command}\r\n`)
    return (await client.until(/^x /)).text
  }
  const selected = (await imap.command('SELECT INBOX')).map(({ text }) => text)
  expect(selected).toContain('* 5 EXISTS')
  expect(selected.find((text) => text.includes('PERMANENTFLAGS'))).toContain('[PERMANENTFLAGS ()]')
  expect(await answer('SELECT INBOX')).toMatch(/^x OK \[READ-ONLY\]/)
  const refusals: readonly (readonly [string, RegExp])[] = [
    ['STORE 1 +FLAGS (\\Deleted)', / NO \[READ-ONLY\]/],
    ['EXPUNGE', / NO \[READ-ONLY\]/],
    ['MOVE 1 Old', / NO \[READ-ONLY\]/],
    ['COPY 1 Old', / NO \[NOPERM\] .*archive/],
    ['CREATE New', / NO \[NOPERM\] .*archive/],
    ['DELETE Old', / NO \[NOPERM\] .*archive/],
    ['RENAME Old New', / NO \[NOPERM\] .*archive/],
    ['SUBSCRIBE Old', / NO \[NOPERM\] .*archive/],
    ['APPEND Old {9+}\r\nSubject:x', / NO \[NOPERM\] .*archive/],
  ]
  for (const [command, reply] of refusals) expect(await answer(command), command).toMatch(reply)
  expect((await imap.command('FETCH 1 (FLAGS BODY[])')).map(({ text }) => text).join()).not.toContain('Seen')
  expect(await answer('SEARCH UNSEEN')).toMatch(/ OK/)

  const pop = await RawPop3.login(wherry.pop3Port, 'joe', 'secret')
  expect(await pop.command('STAT')).toMatch(/^\+OK 5 /)
  await expect(pop.command('DELE 1')).rejects.toThrow(/^-ERR \[SYS\/PERM\] .*archive/)
  expect(await pop.command('STAT')).toMatch(/^\+OK 5 /)
  expect(await pop.command('QUIT')).toMatch(/^\+OK/)

  // Whose mail is in no archive gets an ordinary account.
  const other = await RawImap.connect(wherry.imapPort)
  await other.login('ann', 'secret')
  expect(await answer('SELECT INBOX', other)).toMatch(/^x OK \[READ-WRITE\]/)
  expect(readdirSync(wherry.userDirectory)).toEqual(['ann@gateway.example'])

  expect(admin(['list', '-v', '-u', 'joe']).stdout).toContain(`mail: ${mount.directory}`)
  expect(admin(['verify', '-r', 'joe'])).toMatchObject({
    status: 0,
    stdout: expect.stringContaining('looked at 1 account, 2 mailboxes, 5 messages'),
  })
  expect(wherry.log()).not.toMatch(/SERVERBUG|EROFS|command failed|not written/)
}, 120_000)
