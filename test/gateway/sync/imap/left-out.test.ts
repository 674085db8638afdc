/** Mailboxes that a backend lists and does not open: a double, since Dovecot says that of none that it lists, but for those that have others below them. */
import { expect, it } from 'vitest'
import { imapMessage, scriptedImap } from '#test/support/imap-script.ts'
import { backendAt, Syncer, testStore, userId } from '../support.ts'

const message = (n: number) => imapMessage(n, `Subject: ${n}\r\n\r\nmessage ${n}\r\n`)

const pass = async (spoil: (server: Awaited<ReturnType<typeof scriptedImap>>) => void) => {
  await using server = await scriptedImap({ mailboxes: { INBOX: [message(1)], Lost: [message(2)] } })
  spoil(server)
  await using store = await testStore()
  const backend = backendAt(server.port, { protocol: 'imap', mailbox: '' })
  const result = await new Syncer(store.store, backend).sync({}, { password: Buffer.from('pw') })
  const names = (await store.store.account(userId).list()).map(({ name }) => name)
  return { result, names }
}

const refuse = (words: readonly string[], text: string) => (server: Awaited<ReturnType<typeof scriptedImap>>) => {
  for (const word of words)
    server.on(word, ({ argument, tag }, usual) => (argument.includes('Lost') ? `${tag} NO ${text}\r\n` : usual()))
}

it('one that is said not to exist is named, and counts as one that failed', async () => {
  const { result, names } = await pass(refuse(['STATUS', 'EXAMINE', 'SELECT'], '[NONEXISTENT] no such mailbox'))
  expect(result).toMatchObject({ mailboxes: 1, listed: 1, failed: 1, leftOut: ['Lost'] })
  expect(names).toEqual(['INBOX'])
})

it('one that fails in another way is named, too', async () => {
  const { result, names } = await pass(refuse(['STATUS', 'EXAMINE', 'SELECT'], '[SERVERBUG] internal error'))
  expect(result).toMatchObject({ mailboxes: 1, failed: 1, leftOut: ['Lost'] })
  expect(names).toEqual(['INBOX'])
})

it('one below it makes it a level of the tree, which is nothing that is missing', async () => {
  const { result } = await pass((server) => {
    server.mailboxes.set('Lost/Found', { uidValidity: 3, uidNext: 9, messages: [message(8)] })
    for (const word of ['STATUS', 'EXAMINE', 'SELECT'])
      server.on(word, ({ argument, tag }, usual) =>
        /Lost"?( |$)/.test(argument) ? `${tag} NO [NONEXISTENT] no such mailbox\r\n` : usual(),
      )
  })
  expect(result).toMatchObject({ mailboxes: 2, failed: 0 })
  expect(result.leftOut).toBeUndefined()
})

it('RFC 5819 2: one whose status is not told comes, where it opens', async () => {
  const { result, names } = await pass(refuse(['STATUS'], 'not now'))
  expect(result).toMatchObject({ mailboxes: 2, listed: 2, fetched: 2, failed: 0 })
  expect(names).toEqual(['INBOX', 'Lost'])
})
