import { afterAll, beforeAll, expect, it, vi } from 'vitest'
import { openImap } from '#gateway/backend/imap/open.ts'
import { watchBackend } from '#gateway/backend/imap/watch.ts'
import { BackendProfile } from '#gateway/backend/profile.ts'
import { silentLog } from '#src/base/log.ts'
import { type Dovecot, startDovecot } from '../../../support/dovecot.ts'
import { clientOf } from '../../sync/imap/support.ts'

let dovecot: Dovecot
beforeAll(async () => {
  dovecot = await startDovecot({ users: { anna: 'secret' }, protocols: ['imap'] })
})
afterAll(() => dovecot.stop())

const login = () =>
  openImap({
    host: '127.0.0.1',
    port: dovecot.imapPort,
    implicitTls: false,
    startTls: 'never',
    tlsVerify: false,
    credentials: { user: 'anna', secret: Buffer.from('secret') },
    profile: new BackendProfile(),
    log: silentLog,
  })

/** Watches until the test lets go; `told` counts. */
async function watched(without: readonly string[], everyMs: number) {
  const { connection, capabilities } = await login()
  const seen = { told: 0 }
  const used = { connection, capabilities: capabilities.difference(new Set(without)) }
  const watching = watchBackend(used, () => seen.told++, everyMs).catch((error: unknown) => error)
  await vi.waitFor(() => expect(seen.told).toBe(1))
  return {
    seen,
    stop: async () => {
      connection.close()
      expect(await watching).toMatchObject({ kind: 'stopped' })
    },
  }
}

it.each([
  ['NOTIFY', 'Other', []],
  ['IDLE alone', 'INBOX', ['NOTIFY']],
])('with %s a change is told at once', async (_, mailbox, without) => {
  const other = await clientOf(dovecot)
  await other.mailboxCreate('Other')
  const { seen, stop } = await watched(without, 600_000)
  for (let change = 0; change < 3; change += 1) {
    const before = seen.told
    await other.append(mailbox, `Subject: ${change}\r\n\r\n`)
    await vi.waitFor(() => expect(seen.told).toBeGreaterThan(before), { timeout: 10_000 })
  }
  await stop()
  await other.logout()
})

it('an IDLE is renewed, and what happened between is looked for', async () => {
  const { seen, stop } = await watched([], 100)
  await vi.waitFor(() => expect(seen.told).toBeGreaterThan(4), { timeout: 10_000 })
  await stop()
})

it('a server without IDLE is polled', async () => {
  const { connection } = await login()
  await expect(watchBackend({ connection, capabilities: new Set() }, () => {})).rejects.toMatchObject({
    kind: 'unsupported',
  })
  connection.close()
})
