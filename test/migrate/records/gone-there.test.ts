/** Most of a mailbox is away at the old server before it came: docs/decisions/0290-mail-that-went-before-it-came.md */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { Migrations } from '#migrate/records/migrations.ts'
import { openAccounts } from '#src/auth/accounts.ts'
import { makeUserDatabase } from '#src/config/backends.ts'
import { configOf } from '#src/config/config.ts'
import { anna, gatewayScene } from '#test/gateway/ms_syncd/support.ts'
import { type ImapMailbox, imapMessage, scriptedImap } from '#test/support/imap-script.ts'

const count = 30
const messages = () =>
  Array.from({ length: count }, (_, index) => imapMessage(index + 1, `Subject: ${index + 1}\r\n\r\n${index + 1}\r\n`))

/** Of a mailbox of which half has come when the connection broke; `away` is called then. */
const halfPulled = async (name: string, away: (mailboxes: Map<string, ImapMailbox>) => void) => {
  const others = Object.fromEntries(Array.from({ length: 4 }, (_, index) => [`box${index}`, []]))
  const server = await scriptedImap({ mailboxes: { [name]: messages(), ...others } })
  let isWhole = false
  server.on('UID FETCH', ({ argument, socket }, usual) => {
    if (isWhole || !argument.includes('BODY.PEEK[]') || /^(?:2[0-9]|30)\b/.test(argument)) return usual()
    socket.destroy()
    return ''
  })
  const directory = await mkdtemp(join(tmpdir(), 'gone-there-'))
  const options = {
    gateway_mode: false,
    auto_migrate: true,
    backend_fast_login: true,
    backend_fetch_set_size: 1,
    ms_syncd_protocol: 'imap',
    ms_syncd_port: server.port,
  } as const
  const accounts = openAccounts(join(directory, 'accounts'))
  const scene = await gatewayScene(server.port, options, makeUserDatabase(undefined, []), accounts)
  onTestFinished(async () => {
    await scene[Symbol.asyncDispose]()
    await server[Symbol.asyncDispose]()
    await rm(directory, { recursive: true, force: true })
  })
  const runtime = { config: configOf(options), log: scene.log, clock: scene.clock }
  const migrations = await Migrations.open({ runtime, gateway: scene.gateway, shared: (part) => join(directory, part) })
  const record = () => migrations.records.find(anna)
  const passes = () => scene.lines.filter(({ message }) => message === 'synchronised').length
  await scene.login()
  // Who was let in has some seconds before the pull goes on.
  await scene.until(async () => {
    scene.clock.turn(1)
    return (await record())?.state === 'failed'
  })
  isWhole = true
  const before = new Map<string, ImapMailbox>()
  for (const [path, mailbox] of server.mailboxes) before.set(path, { ...mailbox, messages: [...mailbox.messages] })
  away(server.mailboxes)
  /** Another pass. */
  const pass = async (seconds: number) => {
    const was = passes()
    scene.clock.turn(seconds)
    await scene.until(() => {
      scene.clock.turn(1)
      return passes() > was
    })
    await scene.until(() => scene.gateway.scheduler.counts.running === 0)
  }
  const here = async () => {
    await using mailbox = await scene.test.store.account(anna).open(name)
    await mailbox.refresh()
    return Array.from(mailbox.messages, ({ uid, isHere }) => (isHere ? Number(uid) : `${uid} is to come`))
  }
  return {
    pass,
    here,
    record,
    account: () => accounts.find(anna),
    until: scene.until,
    giveBack: () => {
      for (const [path, mailbox] of before) server.mailboxes.set(path, mailbox)
    },
  }
}

const numbers = Array.from({ length: count }, (_, index) => index + 1)

it.each([
  ['most of a mailbox', 'INBOX', (all: Map<string, ImapMailbox>) => all.get('INBOX')!.messages.splice(0, 25)],
  [
    'a mailbox, with most others,',
    'Archive',
    (all: Map<string, ImapMailbox>) => {
      for (const path of all.keys()) if (path !== 'INBOX') all.delete(path)
    },
  ],
] as const)('%s that is away and comes back comes whole, and only then the account is made', async (_, name, away) => {
  const { pass, here, record, account, until, giveBack } = await halfPulled(name, away)
  // What is still there comes.
  await pass(1_000)
  const announced = await here()
  const toCome = announced.filter((row) => typeof row === 'string').length
  expect(toCome).toBeGreaterThanOrEqual(19)
  for (let round = 0; round < 3; round += 1) {
    await pass(1_000)
    expect(await account()).toBeUndefined()
    expect(await here()).toEqual(announced)
  }
  await until(async () => (await record())?.counts.toCome !== undefined)
  expect(await record()).toMatchObject({
    state: 'pulling',
    reason: expect.stringContaining(`lists ${toCome} messages no more`),
    counts: { toCome },
  })
  giveBack()
  await pass(1_000)
  await until(async () => (await account()) !== undefined)
  expect(await here()).toEqual(numbers)
  await until(async () => (await record())?.state === 'closed')
  expect((await record())?.counts).toMatchObject({ listed: count, here: count, notGiven: 0 })
  expect((await record())?.reason).toBeUndefined()
})

it('what stays away for a day goes here as well, without a notice, and the account is made', async () => {
  const { pass, here, account, until } = await halfPulled('INBOX', (all) => all.get('INBOX')!.messages.splice(0, 25))
  for (let round = 0; round < 3; round += 1) await pass(1_000)
  expect(await account()).toBeUndefined()
  await pass(86_400)
  await until(async () => (await account()) !== undefined)
  expect(await here()).toEqual([26, 27, 28, 29, 30])
})
