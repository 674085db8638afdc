/** MIG-13: the options of the gateway in migration mode. `backend_fast_login` is in migration.test.ts. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { type Accounts, openAccounts } from '#src/auth/accounts.ts'
import { makeUserDatabase } from '#src/config/backends.ts'
import type { ConfigOverrides } from '#src/config/config.ts'
import { imapMessage, type ScriptedImap, scriptedImap } from '#test/support/imap-script.ts'
import { scriptedPop3 } from '#test/support/pop3-script.ts'
import { scriptedSmtp } from '#test/support/smtp-script.ts'
import { contents } from '../sync/support.ts'
import { anna, gatewayScene, type Scene } from './support.ts'

const migrating = async (port: number, overrides: ConfigOverrides): Promise<{ scene: Scene; accounts: Accounts }> => {
  const directory = await mkdtemp(join(tmpdir(), 'accounts-'))
  const accounts = openAccounts(directory)
  const options = { gateway_mode: false, auto_migrate: true, ...overrides }
  const scene = await gatewayScene(port, options, makeUserDatabase(undefined, []), accounts)
  onTestFinished(async () => {
    await scene[Symbol.asyncDispose]()
    await rm(directory, { recursive: true, force: true })
  })
  return { scene, accounts }
}

const messages = (count: number) =>
  Array.from({ length: count }, (_, n) => imapMessage(n + 1, `Subject: ${n}\r\n\r\n${n}\r\n`))
const popMessage = (n: number) => ({ uidl: `id${n}`, octets: Buffer.from(`Subject: ${n}\r\n\r\n${n}\r\n`) })

/** How many messages are asked for at once. */
const fetchSizes = (backend: ScriptedImap): readonly number[] => {
  const sizes: number[] = []
  backend.on('UID FETCH', ({ argument }, usual) => {
    const answer = usual()
    if (argument.includes('BODY.PEEK[]')) sizes.push(String(answer).match(/^\* \d+ FETCH /gm)!.length)
    return answer
  })
  return sizes
}

it('MIG-13: backend_fetch_set_size and sync_inbox_only', async () => {
  await using backend = await scriptedImap({ mailboxes: { INBOX: messages(25), Sent: messages(1) } })
  const sizes = fetchSizes(backend)
  const options = { ms_syncd_protocol: 'imap', backend_fetch_set_size: 10, sync_inbox_only: true } as const
  const { scene, accounts } = await migrating(backend.port, options)
  await scene.login()
  expect(await accounts.find(anna)).toBeDefined()
  expect(await contents(scene.test.store)).toHaveLength(25)
  expect(Math.max(...sizes)).toBe(10)
  const mailboxes = await scene.test.store.account(anna).list()
  expect(mailboxes.map(({ name }) => name)).not.toContain('Sent')
})

it('MIG-13: smtp_injection', async () => {
  await using backend = await scriptedPop3({ messages: [popMessage(1)], capabilities: ['UIDL'] })
  await using server = await scriptedSmtp()
  const options = { domain: 'example.net', smtp_injection: true, submit_host: '127.0.0.1', submit_port: server.port }
  const { scene } = await migrating(backend.port, options)
  await scene.login()
  expect(server.messages).toHaveLength(1)
  expect(await contents(scene.test.store)).toEqual([])
})

it('MIG-13: a content check that is away (cccp_*) lets nothing in, unless cccp_failure says so', async () => {
  await using backend = await scriptedPop3({ messages: [popMessage(1)], capabilities: ['UIDL'] })
  const options = { cccp_host: '127.0.0.1', cccp_port: 1, cccp_timeout: 1 }
  const closed = await migrating(backend.port, { ...options, cccp_failure: 'hold' })
  await closed.scene.login().catch(() => {})
  expect(await closed.accounts.find(anna)).toBeUndefined()
  expect(await contents(closed.scene.test.store)).toEqual([])
  const open = await migrating(backend.port, { ...options, cccp_failure: 'pass' })
  await open.scene.login()
  expect(await contents(open.scene.test.store)).toHaveLength(1)
})

it('fetch_last_n with sync_mode never takes away what was migrated', async () => {
  await using backend = await scriptedPop3({ messages: [1, 2, 3].map(popMessage), capabilities: ['UIDL'] })
  const { scene, accounts } = await migrating(backend.port, { sync_mode: true, fetch_last_n: 1 })
  await scene.login()
  expect(await accounts.find(anna)).toBeDefined()
  const sessions = () => backend.received.filter((line) => line.endsWith('QUIT')).length
  const before = sessions()
  await scene.until(() => {
    scene.clock.turn(300)
    return sessions() > before && scene.gateway.scheduler.counts.running === 0
  })
  expect(await contents(scene.test.store)).toHaveLength(3)
})

it('mail that is pulled anew after what was here is removed has another UIDVALIDITY than at the old server', async () => {
  await using backend = await scriptedImap({ mailboxes: { INBOX: messages(2) } })
  const { scene } = await migrating(backend.port, { ms_syncd_protocol: 'imap' })
  const uidValidity = async () => {
    await using inbox = await scene.test.store.account(anna).open('INBOX')
    return inbox.uidValidity
  }
  const migrate = (renumbered: boolean) => {
    const account = { properties: [], by: 'operator' as const, ...(renumbered ? { renumbered: true as const } : {}) }
    return scene.gateway.migrate({ userId: anna, given: anna, account }, Buffer.from('pw'))
  }
  await migrate(false)
  const kept = await uidValidity()
  await scene.test.store.account(anna).destroy()
  await migrate(true)
  expect(await uidValidity()).not.toBe(kept)
  expect(await contents(scene.test.store)).toHaveLength(2)
})
