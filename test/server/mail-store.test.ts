import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { systemClock } from '#src/base/clock.ts'
import type { UserId } from '#src/base/ids.ts'
import { silentLog } from '#src/base/log.ts'
import { configOf } from '#src/config/config.ts'
import type { EventBus, MailEvent } from '#src/events/types.ts'
import { openMailStore } from '#src/server/mail-store.ts'

it('openMailStore keeps mail in userdir, knows ENVELOPEs and publishes each commit and change of a tree', async () => {
  const userdir = mkdtempSync(join(tmpdir(), 'mail-store-'))
  const published: MailEvent[] = []
  const events = { publish: (event: MailEvent) => published.push(event) } as unknown as EventBus
  {
    await using store = openMailStore({ config: configOf({ userdir }), log: silentLog, clock: systemClock, events })
    const account = store.account('joe@example.org' as UserId)
    await account.ensure()
    expect(published.at(-1)).toEqual({
      topic: 'mbox:joe@example.org',
      name: 'tree',
      fields: { mailbox: 'INBOX', change: 'created' },
    })
    expect(account.path.startsWith(userdir)).toBe(true)
    await using mailbox = await account.open('INBOX')
    await using delivery = mailbox.deliver()
    const sink = delivery.add({ internalDate: 1_700_000_000 })
    await sink.write(Buffer.from('Subject: hello\r\n\r\nbody\r\n'))
    await sink.end()
    await delivery.commit()
    await mailbox.refresh()
    const { root } = await mailbox.summary(mailbox.messages.at(0)!)
    expect(root.envelope?.subject).toBe('hello')
  }
  expect(published.at(-1)).toEqual({
    topic: 'mbox:joe@example.org',
    name: 'mailbox',
    fields: { mailbox: 'INBOX', added: 1, updated: 0, expunged: 0, modseq: 2 },
  })
  rmSync(userdir, { recursive: true })
})
