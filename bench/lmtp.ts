/**
 * Durable deliveries over LMTP beside Dovecot's in the same run: `npm run bench:lmtp -- --count 3000 --sets small,mixed --connections 1,8,32`. Each message is for
 * one of 100 users; the servers take turns, and every one of them syncs each message before its reply.
 */
import { parseArgs } from 'node:util'
import { openAccounts } from '#src/auth/accounts.ts'
import { makeVerifiers } from '#src/auth/verifier.ts'
import type { UserId } from '#src/base/ids.ts'
import { treeCpuMs } from '#test/support/cpu.ts'
import { startDovecot } from '#test/support/dovecot.ts'
import { startWherry } from '#test/support/wherry.ts'
import { LmtpClient, stuffed } from './lmtp-client.ts'
import { median } from './measure.ts'
import { benchMessages, type MessageSet } from './messages.ts'

const { values } = parseArgs({
  options: {
    count: { type: 'string', default: '2000' },
    sets: { type: 'string', default: 'small,mixed' },
    connections: { type: 'string', default: '1,8,32' },
    repeat: { type: 'string', default: '3' },
    /** Of lmtpd; one a core unless told. */
    workers: { type: 'string', default: '0' },
  },
})
const users = Array.from({ length: 100 }, (_, index) => `u${index}@bench.example`)
/** Different octets each: none is taken for one that came before. */
const messagesOfSet = 1_000

interface Server {
  readonly name: string
  readonly port: number
  /** Of all its processes so far. */
  cpuMs(): number
}

await using wherry = await startWherry({
  services: ['lmtpd'],
  options: {
    gateway_mode: false,
    default_domain: 'bench.example',
    ...(values.workers === '0' ? {} : { thread_pool_min: values.workers, thread_pool_max: values.workers }),
  },
})
const accounts = openAccounts(`${wherry.directory}/accounts`)
for (const userId of users)
  await accounts.add({
    userId: userId as UserId,
    state: 'enabled',
    verifiers: makeVerifiers(Buffer.from('secret')),
    services: {},
    properties: [],
  })
await using dovecot = await startDovecot({
  users: Object.fromEntries(users.map((user) => [user, 'secret'])),
  protocols: ['lmtp'],
  extra: 'mail_fsync = always\nservice lmtp {\n  process_min_avail = 2\n}\n',
})
const servers: readonly Server[] = [
  { name: 'Wherry', port: wherry.lmtpPort, cpuMs: () => treeCpuMs(wherry.pid) },
  { name: 'Dovecot', port: dovecot.lmtpPort!, cpuMs: () => treeCpuMs(dovecot.pid) },
]

let number = 0

async function run({ port }: Server, messages: readonly Buffer[], connections: number, count: number): Promise<void> {
  let left = count
  await Promise.all(
    Array.from({ length: connections }, async () => {
      using client = await LmtpClient.connect(port)
      while (left-- > 0) {
        const index = ++number
        const octets = Buffer.concat([Buffer.from(`X-Number: ${index}\r\n`), messages[index % messages.length]!])
        const [reply] = await client.deliver('sender@bench.example', [users[(index * 7) % users.length]!], octets)
        if (!reply!.startsWith('250')) throw new Error(`not delivered: ${reply}`)
      }
    }),
  )
}

process.stdout.write(
  `${values.count} messages (a quarter over one connection) to ${users.length} users; medians of ${values.repeat}\n\n` +
    '| set | connections | Wherry/s | CPU ms | Dovecot/s | CPU ms | Wherry is | in CPU |\n| --- | --- | --- | --- | --- | --- | --- | --- |\n',
)
for (const set of values.sets.split(',') as MessageSet[]) {
  const messages = [...benchMessages(set, messagesOfSet)].map(stuffed)
  // Mailboxes are made.
  for (const server of servers) await run(server, messages, 8, 2 * users.length)
  for (const connections of values.connections.split(',').map(Number)) {
    const count = Math.ceil(Number(values.count) / (connections === 1 ? 4 : 1))
    const figures = servers.map(() => ({ rate: [] as number[], cpu: [] as number[] }))
    for (let turn = 0; turn < Number(values.repeat); turn++)
      for (const [index, server] of servers.entries()) {
        const before = server.cpuMs()
        const start = performance.now()
        await run(server, messages, connections, count)
        figures[index]!.rate.push((count / (performance.now() - start)) * 1_000)
        figures[index]!.cpu.push((server.cpuMs() - before) / count)
      }
    const [own, others] = figures.map(({ rate, cpu }) => ({ rate: median(rate), cpu: median(cpu) }))
    const cells = ({ rate, cpu }: { rate: number; cpu: number }) => `${rate.toFixed(0)} | ${cpu.toFixed(2)}`
    process.stdout.write(
      `| ${set} | ${connections} | ${cells(own!)} | ${cells(others!)} | ${(own!.rate / others!.rate).toFixed(2)} times as fast | ${(others!.cpu / own!.cpu).toFixed(2)} times less |\n`,
    )
  }
}
