/**
 * SEARCH beside Dovecot in the same run: `npm run bench:search -- --count 10000 --set mixed --repeat 3`. Both have the same messages, in processes of their own; they take turns.
 * The first of each search is cold as far as caches of the server go (the files are in memory); what follows is warm. While ours runs, another session of the same process
 * sends NOOP after NOOP: the longest wait tells how long a search keeps others.
 */
import { programArgs } from '#test/support/program-args.ts'
import { RawImap } from '#test/support/raw-imap.ts'
import { password, startPair, user } from './imap-pair.ts'
import { median } from './measure.ts'
import { benchMessages, type MessageSet } from './messages.ts'

const { values } = programArgs({
  options: {
    count: { type: 'string', default: '10000' },
    set: { type: 'string', default: 'mixed' },
    repeat: { type: 'string', default: '3' },
  },
})
const count = Number(values.count)
const set = values.set as MessageSet
const searches = [
  ['SUBJECT', 'SUBJECT "message 4242 "'],
  ['FROM', 'FROM "sender 42"'],
  ['HEADER', 'HEADER Return-Path "sender42@"'],
  ['TEXT, found nowhere', 'TEXT "no such words"'],
  ['BODY, found nowhere', 'BODY "no such words"'],
  ['TEXT, found in most', 'TEXT harbour'],
  ['flags and dates', 'UNSEEN SENTSINCE 1-Dec-2023'],
] as const

async function selected(port: number): Promise<RawImap> {
  const client = await RawImap.connect(port)
  await client.login(user, password)
  await client.command('SELECT INBOX')
  return client
}

/** How long a session waits for the answer to NOOP while another one works. */
async function longestWait(client: RawImap, work: Promise<unknown>): Promise<number> {
  let isOver = false
  work.then(
    () => {
      isOver = true
    },
    () => {
      isOver = true
    },
  )
  let longestMs = 0
  while (!isOver) {
    const start = performance.now()
    await client.command('NOOP')
    longestMs = Math.max(longestMs, performance.now() - start)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  return longestMs
}

await using pair = await startPair(() => benchMessages(set, count), { thread_pool_min: 1, thread_pool_max: 1 })
const targets = await Promise.all(
  pair.servers.map(async ({ port, cpuMs }) => ({ client: await selected(port), cpuMs })),
)
await using other = await selected(pair.servers[0].port)
const ms = (value: number) => value.toFixed(value < 100 ? 1 : 0)

process.stdout.write(
  `${count} messages (${set}); ms, warm: medians of ${values.repeat}\n\n` +
    '| search | found | Wherry first | warm | CPU | longest NOOP beside it | Dovecot first | warm | CPU | Wherry is, warm |\n| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n',
)
for (const [name, keys] of searches) {
  const figures = targets.map(() => ({ wall: [] as number[], cpu: [] as number[], found: '' }))
  let longestMs = 0
  for (let turn = 0; turn <= Number(values.repeat); turn++)
    for (const [index, { client, cpuMs }] of targets.entries()) {
      const before = cpuMs()
      const start = performance.now()
      const work = client.command(`SEARCH ${keys}`)
      if (index === 0 && turn > 1) longestMs = Math.max(longestMs, await longestWait(other, work))
      const lines = await work
      figures[index]!.wall.push(performance.now() - start)
      figures[index]!.cpu.push(cpuMs() - before)
      figures[index]!.found = lines.find(({ text }) => text.startsWith('* SEARCH'))!.text
    }
  const [own, others] = figures.map(({ wall, cpu, found }) => ({
    first: wall[0]!,
    warm: median(wall.slice(1)),
    cpu: median(cpu.slice(1)),
    found,
  }))
  if (own!.found !== others!.found) throw new Error(`${keys}: the two found different messages`)
  process.stdout.write(
    `| ${name} | ${own!.found.split(' ').length - 2} | ${ms(own!.first)} | ${ms(own!.warm)} | ${ms(own!.cpu)} | ${ms(longestMs)} | ${ms(others!.first)} | ${ms(others!.warm)} | ${ms(others!.cpu)} | ${(others!.warm / own!.warm).toFixed(2)} times as fast |\n`,
  )
}
for (const { client } of targets) await client[Symbol.asyncDispose]()
