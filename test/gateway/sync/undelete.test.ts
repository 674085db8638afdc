/** What is brought back here meets a backend that has it, or had it. */
import { expect, it } from 'vitest'
import { type ScriptedPop3, scriptedPop3 } from '#test/support/pop3-script.ts'
import { backendAt, clientExpunges, contents, Syncer, type TestStore, testStore, withMailbox } from './support.ts'

async function scene(run: (backend: ScriptedPop3, gateway: Syncer, test: TestStore) => Promise<void>): Promise<void> {
  const messages = [1, 2].map((n) => ({ uidl: `id${n}`, octets: Buffer.from(`Subject: ${n}\r\n\r\n`) }))
  await using backend = await scriptedPop3({ messages, capabilities: ['PIPELINING', 'UIDL'] })
  await using test = await testStore()
  const gateway = new Syncer(test.store, backendAt(backend.port))
  await gateway.sync()
  await gateway.sync()
  await clientExpunges(test.store, ({ uidl }) => uidl === 'id1')
  await run(backend, gateway, test)
}

const undelete = (test: TestStore) =>
  withMailbox(test.store, (mailbox) => mailbox.undelete(Array.from(mailbox.expunged(), ({ message }) => message.uid)))
const texts = async (test: TestStore) => (await contents(test.store)).map(String)
const both = ['Subject: 2\r\n\r\n', 'Subject: 1\r\n\r\n']

it('a message that the backend has deleted by then stays', () =>
  scene(async (backend, gateway, test) => {
    expect(await gateway.sync()).toMatchObject({ deletedThere: 1 })
    await undelete(test)
    for (let round = 0; round < 3; round += 1)
      expect(await gateway.sync()).toMatchObject({ listed: 1, fetched: 0, expungedHere: 0, deletedThere: 0 })
    expect(await texts(test)).toEqual(both)
    expect(backend.messages).toHaveLength(1)
  }))

it('a message that the backend still has goes there, as its user wanted, and stays here', () =>
  scene(async (backend, gateway, test) => {
    await undelete(test)
    expect(await gateway.sync()).toMatchObject({ deletedThere: 1, fetched: 0 })
    expect(await gateway.sync()).toMatchObject({ listed: 1, fetched: 0, expungedHere: 0, deletedThere: 0 })
    expect(await texts(test)).toEqual(both)
    expect(backend.messages).toHaveLength(1)
  }))

it('deleted again, it goes without a word to the backend', () =>
  scene(async (backend, gateway, test) => {
    await gateway.sync()
    await undelete(test)
    await clientExpunges(test.store, ({ uidl }) => uidl === undefined)
    expect(await gateway.sync()).toMatchObject({ listed: 1, fetched: 0, deletedThere: 0 })
    expect(await texts(test)).toEqual(['Subject: 2\r\n\r\n'])
    expect(backend.messages).toHaveLength(1)
  }))
