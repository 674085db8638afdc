import { expect, it, onTestFinished } from 'vitest'
import { defaultLimits } from '#gateway/backend/types.ts'
import { usesOf } from '#src/store/special-use.ts'
import { scriptedImap } from '../../../support/imap-script.ts'
import { backendAt, Syncer, testStore, userId } from '../support.ts'

it('the use of a mailbox is what the backend says (RFC 6154), else what its name says, and one mailbox has it', async () => {
  const attributes = new Map([
    ['INBOX', ''],
    ['Versendetes', '\\Sent'],
    ['Sent', ''],
    ['Papierkorb', ''],
    ['Brouillons', ''],
    ['Alles', '\\All'],
    ['Plain', '\\Whatever'],
  ])
  await using server = await scriptedImap({
    mailboxes: Object.fromEntries([...attributes.keys()].map((name) => [name, []])),
    capabilities: ['UIDPLUS', 'NAMESPACE', 'LITERAL+', 'SPECIAL-USE'],
  })
  server.on('LIST', ({ tag, argument }) => {
    if (argument.startsWith('"" ""')) return `* LIST (\\Noselect) "/" ""\r\n${tag} OK done\r\n`
    const lines = Array.from(attributes, ([name, use]) => `* LIST (${use}) "/" "${name}"\r\n`)
    return `${lines.join('')}${tag} OK done\r\n`
  })
  const gateway = await testStore()
  onTestFinished(() => gateway[Symbol.asyncDispose]())
  const account = gateway.store.account(userId)
  const uses = async () => Object.fromEntries(Array.from(await usesOf(account), ([name, all]) => [name, all.join(' ')]))
  const syncer = new Syncer(gateway.store, backendAt(server.port, { protocol: 'imap', mailbox: '' }), {
    limits: defaultLimits,
  })
  await syncer.sync()
  expect(await uses()).toEqual({ Versendetes: '\\Sent', Papierkorb: '\\Trash', Brouillons: '\\Drafts', Alles: '\\All' })
  attributes.set('Versendetes', '')
  await syncer.sync()
  expect(await uses()).toMatchObject({ Sent: '\\Sent' })
  // A second backend of the same user, below a prefix: what the first one has stays its own.
  const other = new Syncer(gateway.store, backendAt(server.port, { protocol: 'imap', mailbox: 'Old/', user: 'old' }), {
    limits: defaultLimits,
  })
  await other.sync({}, { others: [backendAt(server.port, { protocol: 'imap', mailbox: '' })] })
  expect(await uses()).toMatchObject({ Sent: '\\Sent', Papierkorb: '\\Trash' })
  expect(Object.keys(await uses())).not.toContain('Old/Sent')
})
