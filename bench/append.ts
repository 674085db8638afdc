/**
 * APPEND and COPY of an imapd session beside Dovecot in the same run: `npm run bench:append -- --count 1000 --set small --repeat 3`. Both get the same octets over one
 * connection each, in processes of their own; they take turns, into a new mailbox each time.
 */
import { programArgs } from '#test/support/program-args.ts'
import { RawImap } from '#test/support/raw-imap.ts'
import { password, startPair, user } from './imap-pair.ts'
import { median } from './measure.ts'
import { benchMessages, type MessageSet } from './messages.ts'

const { values } = programArgs({
  options: {
    count: { type: 'string', default: '1000' },
    copies: { type: 'string', default: '10000' },
    set: { type: 'string', default: 'small' },
    repeat: { type: 'string', default: '3' },
  },
})
const count = Number(values.count)
const copies = Number(values.copies)
const messages = [...benchMessages(values.set as MessageSet, count)].map((octets) => octets.toString('latin1'))
const literal = (message: string) => ` {${message.length}+}\r\n${message}`

/** What is timed; how many messages it brings. */
interface Row {
  readonly name: string
  readonly messages: number
  run(client: RawImap, box: string): Promise<unknown>
}

const alone = messages.slice(0, Math.max(1, count / 4))
const multi = (batch: number): Row => ({
  name: `MULTIAPPEND, ${batch} each`,
  messages: count,
  async run(client, box) {
    for (let at = 0; at < count; at += batch)
      await client.command(
        `APPEND ${box}${messages
          .slice(at, at + batch)
          .map(literal)
          .join('')}`,
      )
  },
})
const rows: readonly Row[] = [
  {
    name: 'APPEND, one after another',
    messages: alone.length,
    async run(client, box) {
      for (const message of alone) await client.command(`APPEND ${box}${literal(message)}`)
    },
  },
  {
    name: 'APPEND, all at once',
    messages: count,
    async run(client, box) {
      const last = messages.length - 1
      client.send(messages.map((message, index) => `p${index} APPEND ${box}${literal(message)}\r\n`).join(''))
      await client.until(new RegExp(`^p${last} OK`))
    },
  },
  multi(100),
  multi(count),
  { name: 'COPY 1:*', messages: copies, run: (client, box) => client.command(`COPY 1:* ${box}`) },
]

await using pair = await startPair(() => [], { thread_pool_min: 1, thread_pool_max: 1 })

/** With what COPY copies selected. */
async function ready(port: number): Promise<RawImap> {
  const client = await RawImap.connect(port)
  await client.login(user, password)
  await client.command('CREATE source')
  for (let at = 0; at < copies; at += 500) {
    const batch = Array.from({ length: Math.min(500, copies - at) }, (_, index) => messages[(at + index) % count]!)
    await client.command(`APPEND source${batch.map(literal).join('')}`)
  }
  await client.command('SELECT source')
  return client
}

const targets = await Promise.all(pair.servers.map(async ({ port, cpuMs }) => ({ client: await ready(port), cpuMs })))

process.stdout.write(
  `${count} messages (${values.set}), ${copies} copies; medians of ${values.repeat}\n\n` +
    '| row | Wherry ms | messages/s | CPU ms/message | Dovecot ms | messages/s | CPU ms/message | Wherry is |\n| --- | --- | --- | --- | --- | --- | --- | --- |\n',
)
let box = 0
for (const row of rows) {
  const figures = targets.map(() => ({ wall: [] as number[], cpu: [] as number[] }))
  for (let turn = 0; turn < Number(values.repeat); turn++)
    for (const [index, { client, cpuMs }] of targets.entries()) {
      const name = `box${++box}`
      await client.command(`CREATE ${name}`)
      const before = cpuMs()
      const start = performance.now()
      await row.run(client, name)
      figures[index]!.wall.push(performance.now() - start)
      figures[index]!.cpu.push(cpuMs() - before)
      const [status] = await client.command(`STATUS ${name} (MESSAGES)`)
      if (!status!.text.includes(`MESSAGES ${row.messages})`)) throw new Error(`${row.name}: ${status!.text}`)
      await client.command(`DELETE ${name}`)
    }
  const [own, others] = figures.map(({ wall, cpu }) => ({ wall: median(wall), cpu: median(cpu) / row.messages }))
  const cells = ({ wall, cpu }: { wall: number; cpu: number }) =>
    `${wall.toFixed(0)} | ${((row.messages / wall) * 1000).toFixed(0)} | ${cpu.toFixed(2)}`
  process.stdout.write(
    `| ${row.name} | ${cells(own!)} | ${cells(others!)} | ${(others!.wall / own!.wall).toFixed(2)} times as fast |\n`,
  )
}
for (const { client } of targets) await client[Symbol.asyncDispose]()
