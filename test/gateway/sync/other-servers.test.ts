/** POP3 backends that are not Dovecot. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { defaultLimits } from '#gateway/backend/types.ts'
import { startCourier } from '#test/support/courier.ts'
import { startCyrus } from '#test/support/cyrus.ts'
import { fixtureMessages, sampleMessages } from '#test/support/messages.ts'
import { open } from '../backend/maildrop.ts'
import { backendAt, clientExpunges, contents, Syncer, testStore, withMailbox } from './support.ts'

const text = (octets: Buffer) => octets.toString('latin1')
/** With CRLF, and with a line end behind the last line, which POP3 can't leave out. */
const asSent = (octets: Buffer) => {
  const sent = text(octets).replaceAll(/\r?\n/g, '\r\n')
  return sent.endsWith('\r\n') ? sent : `${sent}\r\n`
}
const messages = [...sampleMessages(200), ...fixtureMessages().map(({ octets }) => octets)]
/** Cyrus takes neither NUL nor bare LF or CR, and no line in the header but fields (without a space before the colon). */
const everyLineIsAField = (message: string) => /^(?:[^\s:]+:.*\r\n(?:[ \t].*\r\n)*)*(?:\r\n|$)/.test(message)
const takenByCyrus = messages.filter(
  (octets) => !/\0|(?<!\r)\n|\r(?!\n)/.test(text(octets)) && everyLineIsAField(text(octets)),
)

describe.each([
  { name: 'Courier', start: startCourier, filled: messages },
  { name: 'Cyrus', start: startCyrus, filled: takenByCyrus },
])('with $name as the backend', ({ start, filled }) => {
  let server: Awaited<ReturnType<typeof start>>
  beforeAll(async () => {
    server = await start({ users: { anna: 'pw', both: 'pw' } })
  })
  afterAll(() => server?.stop())
  const syncer = (store: Parameters<typeof contents>[0], user: string) =>
    new Syncer(store, backendAt(server.pop3Port, { user }), { limits: defaultLimits })
  const message = (n: number) => Buffer.from(`From: a@example.org\r\nSubject: ${n}\r\n\r\nmessage ${n}\r\n.\r\n`)

  it('GW-03: the first sync is octet-identical and keeps the UIDLs, the second transfers nothing', async () => {
    await server.fill('anna', filled)
    await using test = await testStore()
    const gateway = syncer(test.store, 'anna')
    expect(await gateway.sync()).toMatchObject({ listed: filled.length, fetched: filled.length, failed: 0 })
    expect((await contents(test.store)).map(text)).toEqual(filled.map(asSent))
    const maildrop = await open(server.pop3Port)
    const listed = (await maildrop.uidl())!.listed.map(({ uidl }) => uidl)
    await maildrop.quit()
    const kept = await withMailbox(test.store, async (mailbox) => Array.from(mailbox.messages, ({ uidl }) => uidl))
    expect(kept).toEqual(listed)
    expect(await gateway.sync()).toMatchObject({ listed: filled.length, fetched: 0, expungedHere: 0, deletedThere: 0 })
  })

  it('GW-07, GW-09, GW-10: new mail comes, deletions travel in both directions', async () => {
    await server.fill('both', [1, 2, 3, 4].map(message))
    await using test = await testStore()
    const gateway = syncer(test.store, 'both')
    await gateway.sync()
    const second = await withMailbox(test.store, async ({ messages }) => messages.at(1)!.uid)
    await clientExpunges(test.store, ({ uid }) => uid === second)
    expect(await gateway.sync()).toMatchObject({ deletedThere: 1, fetched: 0 })
    const other = await open(server.pop3Port, { credentials: { user: 'both', secret: Buffer.from('pw') } })
    expect(other.count).toBe(3)
    await other.remove([1])
    await other.quit()
    await server.fill('both', [message(5)])
    expect(await gateway.sync()).toMatchObject({ expungedHere: 1, fetched: 1, listed: 3 })
    expect((await contents(test.store)).map(text)).toEqual([3, 4, 5].map((n) => text(message(n))))
    expect(await gateway.sync()).toMatchObject({ expungedHere: 0, fetched: 0, deletedThere: 0 })
  })
})
