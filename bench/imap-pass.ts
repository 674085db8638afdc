/**
 * What a pass over a large IMAP mailbox costs when nothing is new, and when one message is: time and octets on the wire. Beside a real Dovecot.
 *
 *     npm run bench:imap-pass -- 100000
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { type AddressInfo, connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { BackendProfiles } from '#gateway/backend/profile.ts'
import { defaultLimits } from '#gateway/backend/types.ts'
import { directInjection } from '#gateway/sync/inject/direct.ts'
import { Setbacks } from '#gateway/sync/setbacks.ts'
import { syncOnce } from '#gateway/sync/sync-once.ts'
import { systemClock } from '#src/base/clock.ts'
import type { UserId } from '#src/base/ids.ts'
import { silentLog } from '#src/base/log.ts'
import { openStore } from '#src/store/store.ts'
import { startDovecot } from '#test/support/dovecot.ts'

const count = Number(process.argv[2] ?? 100_000)
const text = (at: number) =>
  Buffer.from(`Message-ID: <${at}@example.org>\r\nSubject: ${at}\r\n\r\n${'text of a message\r\n'.repeat(20)}`)
function* messages(): Iterable<Buffer> {
  for (let at = 0; at < count; at += 1) yield text(at)
}

await using dovecot = await startDovecot({ users: { anna: 'secret' }, protocols: ['imap'] })
await dovecot.fill('anna', messages())
let octets = 0
const proxy = createServer((client) => {
  const server = connect(dovecot.imapPort, '127.0.0.1')
  for (const [from, to] of [
    [client, server],
    [server, client],
  ] as const) {
    from.on('data', (chunk: Buffer) => {
      octets += chunk.length
      to.write(chunk)
    })
    from.on('error', () => to.destroy())
    from.on('close', () => to.destroy())
  }
}).listen(0, '127.0.0.1')
await new Promise((resolve) => proxy.once('listening', resolve))

const root = await mkdtemp(join(tmpdir(), 'imap-pass-'))
const store = openStore({ root, clock: systemClock, log: silentLog, onCommit: () => {} })
const access = { profiles: new BackendProfiles(), limits: defaultLimits }
const setbacks = new Setbacks()
const userId = 'anna@example.org' as UserId
async function pass(what: string): Promise<void> {
  octets = 0
  const [began, cpu] = [performance.now(), process.cpuUsage()]
  const { fetched } = await syncOnce({
    others: [],
    backend: {
      protocol: 'imap',
      host: '127.0.0.1',
      port: (proxy.address() as AddressInfo).port,
      user: 'anna',
      password: undefined,
      mailbox: '',
      intervalSeconds: 300,
      startTls: 'never',
      tlsVerify: true,
    },
    userId,
    password: Buffer.from('secret'),
    store,
    access,
    policy: { fetchLastN: 0, ignoreFrontendDeletes: false, fetchSetSize: 100, inboxOnly: false },
    injection: directInjection(systemClock),
    setbacks,
    clock: systemClock,
    log: silentLog,
  })
  const ms = Math.round(performance.now() - began)
  const used = process.cpuUsage(cpu)
  console.log(
    `${what}: ${ms} ms, ${Math.round((used.user + used.system) / 1000)} ms CPU, ${octets} octets on the wire, ${fetched} fetched`,
  )
}

await pass(`first pass, ${count} messages`)
await pass('nothing new')
await pass('nothing new')
await dovecot.fill('anna', [text(count)])
await pass('one new message')
await pass('nothing new')
await store.close()
proxy.close()
await rm(root, { recursive: true, force: true })
