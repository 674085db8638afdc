/** What ms_syncd tells of backends: docs/mpp.md, `msstat -b`. */
import { expect, it, vi } from 'vitest'
import { BackendLink } from '#gateway/ms_syncd/link.ts'
import { statusAnswer } from '#gateway/ms_syncd/status-request.ts'
import { makeUserDatabase } from '#src/config/backends.ts'
import { imapMessage, scriptedImap } from '#test/support/imap-script.ts'
import { type ScriptedMessage, scriptedPop3 } from '#test/support/pop3-script.ts'
import { gatewayScene } from './support.ts'

const message = (n: number): ScriptedMessage => ({
  uidl: `id${n}`,
  octets: Buffer.from(`Subject: ${n + 1_000}\r\n\r\nmessage\r\n`),
})

interface Page {
  readonly backends: readonly { readonly user: string; readonly backend: string }[]
  readonly next?: number
  readonly totals?: Readonly<Record<string, unknown>>
}

it('users with one backend or more, in pages that cost what is on them', async () => {
  const names = Array.from({ length: 2_200 }, (_, n) => `user${n}@example.org`)
  const extra = { line: 1, host: '127.0.0.2', password: 'pw', mailbox: 'Other' }
  const users = makeUserDatabase(
    undefined,
    names.map((frontendId, n) => ({
      frontendId,
      master: { line: 1, password: 'pw' },
      extra: n % 3 === 0 ? [extra] : [],
    })),
  )
  await using scene = await gatewayScene(1, { poll_without_client: true }, users)
  await scene.gateway.pollStanding()
  const looked = vi.spyOn(BackendLink.prototype, 'status')
  const pages: Page[] = []
  const costs: number[] = []
  for (let from: number | undefined = 0; from !== undefined; from = pages.at(-1)!.next) {
    looked.mockClear()
    pages.push((await statusAnswer(scene.gateway, { type: 'status', from })) as unknown as Page)
    costs.push(looked.mock.calls.length)
  }
  looked.mockRestore()
  const all = pages.flatMap(({ backends }) => backends)
  expect(pages.map(({ backends }) => backends.length)).toEqual([1_000, 1_000, 934])
  expect(new Set(all.map(({ user, backend }) => `${user} ${backend}`)).size).toBe(2_934)
  expect(pages.map(({ totals }) => totals?.backends)).toEqual([2_934, undefined, undefined])
  // The first one has the totals; the others a backend or two beside their own.
  for (const [index, cost] of costs.slice(1).entries()) expect(cost).toBeLessThan(pages[index + 1]!.backends.length + 5)
})

it('how many messages are to come in a session, and when it will be done', async () => {
  await using backend = await scriptedPop3({ messages: Array.from({ length: 40 }, (_, n) => message(n)) })
  await using scene = await gatewayScene(backend.port)
  scene.gateway.access.profiles.of('127.0.0.1', backend.port).learned.afterRetrieve = 'keeps'
  const { promise: goOn, resolve } = Promise.withResolvers<void>()
  backend.on('RETR', async ({ argument }, usual) => {
    // What arrives is made durable at the latest after five seconds: with the tenth message of ten there.
    if (argument === '10') scene.clock.turn(10)
    if (argument === '30') await goOn
    return usual()
  })
  const login = scene.login()
  const status = () => [...scene.gateway.statuses()][0]!
  await scene.until(() => status()?.eta !== undefined)
  expect(status()).toMatchObject({ state: 'syncing', fetched: 10, left: 30, eta: scene.clock.now() + 30_000 })
  resolve()
  await login
  expect(status()).toMatchObject({ state: 'waiting', fetched: 40 })
  expect(status()).not.toHaveProperty('left')
  expect(status()).not.toHaveProperty('eta')
})

it('of an IMAP backend, messages in mailboxes that it has not come to are counted', async () => {
  const messages = (count: number) =>
    Array.from({ length: count }, (_, n) => imapMessage(n + 1, `Subject: ${n}\r\n\r\n`))
  await using backend = await scriptedImap({ mailboxes: { INBOX: messages(3), Sent: messages(5) } })
  await using scene = await gatewayScene(backend.port, { ms_syncd_protocol: 'imap' })
  const { promise: goOn, resolve } = Promise.withResolvers<void>()
  backend.on('UID FETCH', async ({ argument }, usual) => {
    if (argument.includes('BODY.PEEK[]')) await goOn
    return usual()
  })
  const login = scene.login()
  const status = () => [...scene.gateway.statuses()][0]!
  await scene.until(() => status()?.left !== undefined && backend.received.some((line) => line.includes('BODY.PEEK[]')))
  expect(status()).toMatchObject({ state: 'syncing', left: 8 })
  resolve()
  await login
  expect(status()).not.toHaveProperty('left')
})

it('messages that are missing at the backend and stay here are told (P8, B7)', async () => {
  await using backend = await scriptedPop3({ messages: [message(1), message(2), message(3)] })
  await using scene = await gatewayScene(backend.port)
  await scene.login()
  const status = () => [...scene.gateway.statuses()][0]!
  const pass = async (sessions: number) => {
    scene.clock.turn(301)
    await scene.until(() => status().sessions === sessions)
  }
  await pass(2)
  expect(status()).not.toHaveProperty('held')
  const mail = backend.messages
  backend.messages = []
  await pass(3)
  expect(status()).toMatchObject({
    state: 'waiting',
    held: 3,
    reason: '3 missing at the backend, kept here until that is certain',
  })
  backend.messages = mail
  await pass(4)
  expect(status()).not.toHaveProperty('reason')
})
