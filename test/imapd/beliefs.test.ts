/** What a client knows of flags is told once: RFC 3501 §7.4.2, docs/decisions/0035-what-a-client-believes.md */
import { expect, it } from 'vitest'
import type { Uid } from '#src/base/ids.ts'
import { deliver, serve, user } from './served.ts'

it('flags that others changed are told by the FETCH that asks for them, else behind the answer', async () => {
  const served = await serve()
  await deliver(served.elsewhere, 'INBOX', ['Subject: one\r\n\r\n', 'Subject: two\r\n\r\n'])
  const peer = await served.enter()
  await peer.command('s', 'EXAMINE INBOX')
  await using inbox = await served.elsewhere.account(user).open('INBOX')
  const flag = (flags: string[]) => inbox.changeFlags({ uids: [1 as Uid, 2 as Uid], mode: 'set', flags })
  await flag(['\\Seen'])
  expect(await peer.command('a', 'FETCH 1 (FLAGS)')).toEqual([
    '* 1 FETCH (FLAGS (\\Seen \\Recent))',
    '* 2 FETCH (FLAGS (\\Seen \\Recent))',
    'a OK FETCH completed',
  ])
  await flag(['\\Draft'])
  expect(await peer.command('b', 'FETCH 2 (UID)')).toEqual([
    '* 2 FETCH (UID 2)',
    '* 1 FETCH (FLAGS (\\Draft \\Recent))',
    '* 2 FETCH (FLAGS (\\Draft \\Recent))',
    'b OK FETCH completed',
  ])
  expect(await peer.command('c', 'FETCH 1:2 (FLAGS)')).toHaveLength(3)
})
