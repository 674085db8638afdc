import { expect, it } from 'vitest'
import type { OpenMailbox } from '#src/store/mailbox.ts'
import { MailboxRegistry } from '#src/store/registry.ts'

it('keeps unused mailboxes open up to 64 MB of memory, the last used ones, whatever their number', async () => {
  const registry = new MailboxRegistry()
  const made: string[] = []
  const open = (directory: string, weight: number) =>
    registry.open(directory, () => {
      made.push(directory)
      const mailbox = { directory, weight, load: async () => {}, refresh: async () => false, flush: async () => {} }
      return mailbox as unknown as OpenMailbox
    })
  const visit = async (directory: string, weight: number) => await registry.release(await open(directory, weight))
  for (let index = 0; index < 1000; index += 1) await visit(`/small/${index}`, 1)
  for (let index = 0; index < 1000; index += 1) await visit(`/small/${index}`, 1)
  expect(made.length).toBe(1000)
  // Two of these take nearly all there is.
  await visit('/large/1', 120_000)
  const used = await open('/large/2', 120_000)
  await visit('/large/3', 120_000)
  await visit('/large/1', 120_000)
  await visit('/large/4', 120_000)
  made.length = 0
  await visit('/large/1', 120_000)
  expect([await open('/large/2', 120_000), made]).toEqual([used, []])
  await visit('/large/3', 120_000)
  await visit('/small/0', 1)
  expect(made).toEqual(['/large/3', '/small/0'])
})
