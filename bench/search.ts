/**
 * SEARCH beside Dovecot in the same run: `npm run bench:search -- --count 10000 --set mixed --repeat 3`. Both have the same messages, in processes of their own; they take turns.
 * The first of each search is cold as far as caches of the server go (the files are in memory); what follows is warm. While ours runs, another session of the same process
 * sends NOOP after NOOP: the longest wait tells how long a search keeps others.
 */
import { parseArgs } from 'node:util'
import { openAccounts } from '#src/auth/accounts.ts'
import { makeVerifiers } from '#src/auth/verifier.ts'
import { systemClock } from '#src/base/clock.ts'
import type { UserId } from '#src/base/ids.ts'
import { silentLog } from '#src/base/log.ts'
import { openStore } from '#src/store/store.ts'
import { treeCpuMs } from '#test/support/cpu.ts'
import { startDovecot } from '#test/support/dovecot.ts'
import { RawImap } from '#test/support/raw-imap.ts'
import { startWherry } from '#test/support/wherry.ts'
import { benchMessages, type MessageSet } from './messages.ts'

const { values } = parseArgs({
  options: {
    count: { type: 'string', default: '10000' },
    set: { type: 'string', default: 'mixed' },
    repeat: { type: 'string', default: '3' },
  },
})
const count = Number(values.count)
const set = values.set as MessageSet
const user = 'anna@example.org'
const searches = [
  ['SUBJECT', 'SUBJECT "message 4242 "'],
  ['FROM', 'FROM "sender 42"'],
  ['HEADER', 'HEADER Return-Path "sender42@"'],
  ['TEXT, found nowhere', 'TEXT "no such words"'],
  ['BODY, found nowhere', 'BODY "no such words"'],
  ['TEXT, found in most', 'TEXT harbour'],
  ['flags and dates', 'UNSEEN SENTSINCE 1-Dec-2023'],
] as const

await using gateway = await startWherry({
  services: ['mseventd', 'imapd'],
  options: { gateway_mode: false, thread_pool_min: 1, thread_pool_max: 1 },
})
await openAccounts(`${gateway.directory}/accounts`).add({
  userId: user as UserId,
  state: 'enabled',
  verifiers: makeVerifiers(Buffer.from('secret')),
  services: {},
  properties: [],
})
await using dovecot = await startDovecot({ users: { [user]: 'secret' }, protocols: ['imap'] })

async function fillWherry(): Promise<void> {
  const store = openStore({ root: gateway.userDirectory, clock: systemClock, log: silentLog })
  const account = store.account(user as UserId)
  await account.ensure()
  await using inbox = await account.open('INBOX')
  const messages = benchMessages(set, count)
  for (let at = 0; at < count; at += 500) {
    await using delivery = inbox.deliver()
    for (let added = 0; added < Math.min(500, count - at); added++) {
      const octets = messages.next().value!
      const sink = delivery.add({ internalDate: 1_700_000_000 + at })
      await sink.write(octets)
      await sink.end()
    }
    await delivery.commit()
  }
  await store.close()
}

async function selected(port: number): Promise<RawImap> {
  const client = await RawImap.connect(port)
  await client.login(user, 'secret')
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

await fillWherry()
await dovecot.fill(user, benchMessages(set, count))
await using ours = await selected(gateway.imapPort)
await using other = await selected(gateway.imapPort)
await using theirs = await selected(dovecot.imapPort)
const targets = [
  { client: ours, cpuMs: () => treeCpuMs(gateway.pid) },
  { client: theirs, cpuMs: () => treeCpuMs(dovecot.pid) },
]
const median = (all: readonly number[]) => all.toSorted((a, b) => a - b)[all.length >> 1]!
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
