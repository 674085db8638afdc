/** CONTEXT=SEARCH, RFC 5267 §4.3, where a transcript can't say it: the order of responses, limits, time, and messages that can't be read. */
import { expect, it } from 'vitest'
import { systemClock } from '#src/base/clock.ts'
import { StoreError } from '#src/base/errors.ts'
import { Contexts } from '#src/imapd/contexts.ts'
import type { Searching } from '#src/imapd/search.ts'
import { View } from '#src/imapd/view.ts'
import type { SearchKey } from '#src/proto/imap/search.ts'
import { announce } from '#test/store/actions.ts'
import { deliverAll, freshInbox } from '#test/store/support.ts'
import { deliver, serve, user } from './served.ts'

it('tells what is removed before its EXPUNGE, what is added behind EXISTS and FETCH; in IDLE too', async () => {
  const served = await serve()
  await deliver(served.elsewhere, 'INBOX', Array<string>(4).fill('Subject: x\r\n\r\n'))
  await using elsewhere = await served.elsewhere.account(user).open('INBOX')
  const uids = [...elsewhere.messages].map(({ uid }) => uid)
  const peer = await served.enter()
  await peer.command('s', 'SELECT INBOX')
  await peer.command('u', 'SEARCH RETURN (UPDATE COUNT) UNSEEN')
  await elsewhere.expunge([uids[0]!, uids[2]!], 'client')
  await elsewhere.changeFlags({ uids: [uids[3]!], mode: 'add', flags: ['\\Seen'] })
  await deliver(served.elsewhere, 'INBOX', ['Subject: y\r\n\r\n'])
  peer.write('i IDLE\r\n')
  expect(await peer.line()).toBe('+ idling')
  expect(await peer.line()).toBe('* ESEARCH (TAG "u") REMOVEFROM (0 1,3)')
  const order: string[] = []
  while (order.at(-1)?.startsWith('* ESEARCH') !== true) order.push(await peer.line())
  expect(order.filter((line) => !line.endsWith('RECENT'))).toEqual([
    '* 3 EXPUNGE',
    '* 1 EXPUNGE',
    '* 3 EXISTS',
    '* 2 FETCH (FLAGS (\\Seen \\Recent))',
    '* ESEARCH (TAG "u") REMOVEFROM (0 2) ADDTO (0 3)',
  ])
  peer.write('DONE\r\n')
  await peer.until('i')
})

it('refuses to follow more than it holds, and answers the search', async () => {
  const served = await serve()
  await deliver(served.elsewhere, 'INBOX', ['Subject: x\r\n\r\n'])
  const peer = await served.enter()
  await peer.command('s', 'SELECT INBOX')
  for (let at = 0; at < 16; at++)
    expect((await peer.command(`u${at}`, 'SEARCH RETURN (UPDATE COUNT) ALL')).join()).not.toContain('NOUPDATE')
  const refused = await peer.command('more', 'SEARCH RETURN (UPDATE COUNT) ALL')
  expect(refused.slice(0, 2)).toEqual([
    '* ESEARCH (TAG "more") COUNT 1',
    '* NO [NOUPDATE "more"] Results are not updated',
  ])
  await peer.command('c', 'CANCELUPDATE "u0" "u1"')
  expect((await peer.command('more', 'SEARCH RETURN (UPDATE COUNT) ALL')).length).toBe(2)
})

it('sees messages grow older, and tries again what could not be read', async () => {
  const { inbox } = await freshInbox()
  await deliverAll(inbox, [{ text: 'Subject: one\r\n\r\n' }])
  const bornSeconds = inbox.messages.internalDateAt(0)
  let passedMs = 0
  const told: string[] = []
  const view = await View.open(inbox, { readOnly: true })
  const session = {
    view,
    services: { clock: { ...systemClock, now: () => bornSeconds * 1000 + passedMs, monotonic: () => passedMs } },
    connection: { signal: new AbortController().signal },
    output: { write: (text: string) => told.push(text), flow: async () => {} },
    log: { log: (_: string, text: string) => told.push(text) },
  } as unknown as Searching
  const contexts = new Contexts()
  const [age, subject]: SearchKey[] = [
    { key: 'YOUNGER', seconds: 100 },
    { key: 'HEADER', field: 'subject', value: Buffer.from('one') },
  ]
  await contexts.add(
    session,
    { tag: 'age', uid: true },
    { key: age!, charset: undefined },
    { positions: [0], away: [] },
  )
  await contexts.add(
    session,
    { tag: 'subject', uid: true },
    { key: subject!, charset: undefined },
    { positions: [0], away: [] },
  )
  passedMs = 99_000
  await contexts.tellChanged(session)
  expect(told).toEqual([])
  passedMs = 170_000
  await contexts.tellChanged(session)
  expect(told.join('')).toBe('* ESEARCH (TAG "age") UID REMOVEFROM (0 1)\r\n')
  told.length = 0
  contexts.cancel('age')
  await deliverAll(inbox, [{ text: 'Subject: one and one\r\n\r\n' }])
  await view.announcements({ mayExpunge: true, withModSeqs: false, arrivals: true, changes: true })
  const texts = inbox.headerTexts
  inbox.headerTexts = () => Promise.reject(new StoreError('unavailable', 'not now'))
  await contexts.tellChanged(session)
  expect(told).toEqual(['changes to the results of a search can not be found out'])
  inbox.headerTexts = texts
  told.length = 0
  await contexts.tellChanged(session)
  expect(told.join('')).toBe('* ESEARCH (TAG "subject") UID ADDTO (0 2)\r\n')
})

it('tries a message that had not come from an old server when it has', async () => {
  const served = await serve()
  await deliver(served.elsewhere, 'INBOX', ['Subject: own\r\n\r\n'])
  await using elsewhere = await served.elsewhere.account(user).open('INBOX')
  const announced = (origin: string) => ({ origin, internalDate: 1_600_000_000, sizeOctets: 20 })
  await announce(elsewhere, [announced('old/1/1'), announced('old/1/2'), announced('old/1/3')])
  const peer = await served.enter()
  await peer.command('s', 'SELECT INBOX')
  expect(await peer.command('u', 'UID SEARCH RETURN (UPDATE COUNT) SUBJECT x')).toContain(
    '* ESEARCH (TAG "u") UID COUNT 0',
  )
  await peer.command('v', 'UID SEARCH RETURN (UPDATE COUNT) NOT SUBJECT x')
  await deliverAll(elsewhere, [
    { text: 'Subject: y\r\n\r\n', origin: 'old/1/1' },
    { text: 'Subject: x\r\n\r\n', origin: 'old/1/2' },
  ])
  expect((await peer.command('n', 'NOOP')).filter((line) => line.startsWith('* ESEARCH'))).toEqual([
    '* ESEARCH (TAG "u") UID ADDTO (0 3)',
    '* ESEARCH (TAG "v") UID ADDTO (0 2)',
  ])
  await deliverAll(elsewhere, [{ text: 'Subject: x\r\n\r\n', origin: 'old/1/3' }])
  expect((await peer.command('m', 'NOOP'))[0]).toBe('* ESEARCH (TAG "u") UID ADDTO (0 4)')
})
