/** A mailbox of a real old server (Dovecot) that nobody can open, and the migration of its user. */
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { Migrations } from '#migrate/records/migrations.ts'
import { openAccounts } from '#src/auth/accounts.ts'
import { makeUserDatabase } from '#src/config/backends.ts'
import { configOf } from '#src/config/config.ts'
import { anna, gatewayScene } from '#test/gateway/ms_syncd/support.ts'
import { startDovecot } from '#test/support/dovecot.ts'
import { sampleMessages } from '#test/support/messages.ts'

it('ends, when it was asked for often enough, and the record names the mailbox', async () => {
  await using dovecot = await startDovecot({ users: { [anna]: 'pw' }, protocols: ['imap'] })
  for (const mailbox of ['INBOX', 'Locked']) await dovecot.fill(anna, sampleMessages(3), mailbox)
  const locked = join(dovecot.home(anna), 'Maildir', '.Locked')
  await chmod(locked, 0)
  const directory = await mkdtemp(join(tmpdir(), 'left-out-'))
  onTestFinished(() => rm(directory, { recursive: true, force: true }))
  const options = {
    gateway_mode: false,
    auto_migrate: true,
    backend_fast_login: true,
    ms_syncd_protocol: 'imap',
    ms_syncd_port: dovecot.imapPort,
  } as const
  const accounts = openAccounts(join(directory, 'accounts'))
  await using scene = await gatewayScene(dovecot.imapPort, options, makeUserDatabase(undefined, []), accounts)
  const runtime = { config: configOf(options), log: scene.log, clock: scene.clock }
  const shared = (name: string) => join(directory, name)
  const migrations = await Migrations.open({ runtime, gateway: scene.gateway, shared })
  await scene.login()
  await scene.until(async () => {
    scene.clock.turn(61)
    return (await migrations.records.find(anna))?.state === 'closed'
  })
  await chmod(locked, 0o700)
  expect((await migrations.records.find(anna))?.counts).toMatchObject({
    listed: 3,
    here: 3,
    notGiven: 1,
    leftOut: ['Locked'],
  })
  const told = scene.lines.filter(({ message }) => message.includes('lists a mailbox and does not open it'))
  expect(told[0]?.fields).toMatchObject({ mailbox: 'Locked' })
})
