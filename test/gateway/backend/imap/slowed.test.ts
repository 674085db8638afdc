/** What a server says behind an OK when it answers slower on purpose (I4). */
import { expect, it } from 'vitest'
import { fetchBodies } from '#gateway/backend/imap/bulk.ts'
import { openImap } from '#gateway/backend/imap/open.ts'
import { BackendProfile } from '#gateway/backend/profile.ts'
import type { Uid } from '#src/base/ids.ts'
import { silentLog } from '#src/base/log.ts'
import { imapMessage, scriptedImap } from '#test/support/imap-script.ts'

const count = 1_200
const messages = Array.from({ length: count }, (_, n) => imapMessage(n + 1, `Subject: ${n}\r\n\r\n`))
const uids = messages.map(({ uid }) => uid as Uid)

/** A server that ends every FETCH with [THROTTLED]; `asked`: when each came. */
const slowServer = async () => {
  const backend = await scriptedImap({ mailboxes: { INBOX: messages } })
  const asked: number[] = []
  backend.on('UID FETCH', async ({ send }, usual) => {
    asked.push(performance.now())
    await send(String(usual()).replace(/\S+ OK done\r\n$/, ''))
    return 'OK done [THROTTLED]'
  })
  const { connection } = await openImap({
    host: '127.0.0.1',
    port: backend.port,
    implicitTls: false,
    startTls: 'never',
    tlsVerify: false,
    credentials: { user: 'anna', secret: Buffer.from('pw') },
    profile: new BackendProfile(),
    log: silentLog,
  })
  await connection.run({ words: ['SELECT INBOX'] })
  let taken = 0
  const sink = { write: () => {}, end: () => void taken++, abort: () => {} }
  const fetch = () => fetchBodies(connection, { uids, setSize: 100, open: () => sink, refused: () => {} })
  return {
    backend,
    connection,
    asked,
    fetch,
    taken: () => taken,
    [Symbol.asyncDispose]: () => backend[Symbol.asyncDispose](),
  }
}

it('everything comes, and commands behind those that were under way wait', async () => {
  await using server = await slowServer()
  await server.fetch()
  expect(server.taken()).toBe(count)
  expect(server.connection.slowed).toBe(12)
  // Six are sent at once; each answer doubles the pause before the next: 50, 100, 200 … ms.
  expect(server.asked[6]! - server.asked[5]!).toBeGreaterThan(45)
  expect(server.asked[11]! - server.asked[5]!).toBeGreaterThan(390)
})

it('a session that ends while commands wait asks for nothing more', async () => {
  await using server = await slowServer()
  const fetching = server.fetch()
  const refused = expect(fetching).rejects.toMatchObject({ kind: 'stopped' })
  while (server.connection.slowed < 6) await new Promise((resolve) => setImmediate(resolve))
  server.connection.close()
  await refused
  expect(server.asked.length).toBeLessThan(12)
})
