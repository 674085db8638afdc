import { expect, it } from 'vitest'
import type { Uid } from '#src/base/ids.ts'
import { deliver, serve, user } from './served.ts'

it('a session is told of messages that are brought back, as of new ones', async () => {
  const served = await serve()
  await deliver(served.elsewhere, 'INBOX', ['Subject: one\r\n\r\n', 'Subject: two\r\n\r\n'])
  const peer = await served.enter()
  await peer.command('s', 'SELECT INBOX')
  await peer.command('d', 'STORE 1 +FLAGS.SILENT (\\Deleted \\Flagged)')
  await peer.command('e', 'EXPUNGE')
  await using inbox = await served.elsewhere.account(user).open('INBOX')
  expect(await inbox.undelete([1 as Uid])).toMatchObject({ pairs: [[1, 3]] })
  expect(await peer.command('n', 'NOOP')).toEqual(['* 2 EXISTS', '* 2 RECENT', 'n OK NOOP completed'])
  expect(await peer.command('f', 'FETCH 2 (UID FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])')).toEqual(
    expect.arrayContaining([expect.stringContaining('UID 3 FLAGS (\\Flagged \\Recent)')]),
  )
})
