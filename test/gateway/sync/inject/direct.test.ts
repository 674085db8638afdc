import { expect, it } from 'vitest'
import { directInjection } from '#gateway/sync/inject/direct.ts'
import { systemClock } from '#src/base/clock.ts'
import { silentLog } from '#src/base/log.ts'
import { octetsOf, testStore, userId, withMailbox } from '../support.ts'

it('GW-23, false: straight into the store, with the flags, INTERNALDATE and unique-id that are known, else the date of the header', async () => {
  await using test = await testStore()
  const account = test.store.account(userId)
  await account.ensure()
  await withMailbox(test.store, async (mailbox) => {
    const injector = directInjection(systemClock).into({ account, mailbox, log: silentLog })
    const octets = Buffer.from('Date: Tue, 14 Nov 2023 22:13:20 +0000\r\nSubject: 1\r\n\r\nbody\r\n')
    const known = { origin: 'imap://a/1', internalDate: 86_400 * 365, flags: ['\\Seen', '$Later'] }
    for (const message of [known, { origin: 'pop://a/u:2', uidl: '2' }]) {
      const sink = injector.open(message, () => {})
      for (const octet of octets) await sink.write(Buffer.of(octet))
      await sink.end()
    }
    await injector.finish()
    expect(injector).toMatchObject({ taken: 2, takenOctets: 2 * octets.length })
    const [first, second] = mailbox.messages
    expect(first).toMatchObject({ origin: known.origin, internalDate: known.internalDate, flags: new Set(known.flags) })
    expect(second).toMatchObject({ origin: 'pop://a/u:2', uidl: '2', internalDate: 1_700_000_000, flags: new Set() })
    expect(await octetsOf(mailbox, first!)).toEqual(octets)
  })
})
