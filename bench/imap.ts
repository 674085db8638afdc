/**
 * What clients do most with a mailbox, beside Dovecot in the same run: `npm run bench:imap -- --count 10000 --set mixed --repeat 5`. Both have the same messages; they take turns.
 * The first of each row is without what a server derives of messages; files are in the system's memory. Rows for logins, SEARCH, SORT, THREAD, APPEND and COPY are those of other programs here.
 */
import { programArgs } from '#test/support/program-args.ts'
import { DiscardingImap } from './discarding-imap.ts'
import { password, startPair, user } from './imap-pair.ts'
import { median } from './measure.ts'
import { benchMessages, type MessageSet } from './messages.ts'

const { values } = programArgs({
  options: {
    count: { type: 'string', default: '10000' },
    set: { type: 'string', default: 'mixed' },
    repeat: { type: 'string', default: '5' },
  },
})
const count = Number(values.count)
const set = values.set as MessageSet
const rows = [
  ['SELECT', 'SELECT INBOX'],
  ['FETCH 1:* (UID FLAGS)', 'FETCH 1:* (UID FLAGS)'],
  ['FETCH 1:* (ENVELOPE BODYSTRUCTURE)', 'FETCH 1:* (ENVELOPE BODYSTRUCTURE)'],
  ['FETCH 1:* BODY.PEEK[HEADER]', 'FETCH 1:* BODY.PEEK[HEADER]'],
  ['FETCH 1:* BODY.PEEK[]', 'FETCH 1:* BODY.PEEK[]'],
  ['STORE 1:* +FLAGS, -FLAGS', 'STORE 1:* +FLAGS.SILENT (\\Answered)', 'STORE 1:* -FLAGS.SILENT (\\Answered)'],
] as const

await using pair = await startPair(() => benchMessages(set, count))
const clients = await Promise.all(pair.servers.map(({ port }) => DiscardingImap.connect(port)))
for (const client of clients) await client.command(`LOGIN ${user} ${password}`)

const shown = (ms: number) => ms.toFixed(ms < 100 ? 1 : 0)
console.log(`${count} messages (${set}); ms, warm: medians of ${values.repeat}; CPU of all processes of the server`)
console.log(
  '| command | Wherry first | warm | CPU | Dovecot first | warm | CPU | Wherry : Dovecot, warm |\n| --- | --- | --- | --- | --- | --- | --- | --- |',
)
for (const [name, ...commands] of rows) {
  const figures = pair.servers.map(() => ({ wall: [] as number[], cpu: [] as number[] }))
  for (let turn = 0; turn <= Number(values.repeat); turn++)
    for (const [index, { cpuMs }] of pair.servers.entries()) {
      const before = cpuMs()
      let ms = 0
      for (const command of commands) ms += (await clients[index]!.command(command)).ms
      figures[index]!.wall.push(ms)
      figures[index]!.cpu.push(cpuMs() - before)
    }
  const [ours, theirs] = figures.map(({ wall, cpu }) => ({
    first: wall[0]!,
    warm: median(wall.slice(1)),
    cpu: median(cpu.slice(1)),
  })) as [Record<'first' | 'warm' | 'cpu', number>, Record<'first' | 'warm' | 'cpu', number>]
  console.log(
    `| ${name} | ${[ours.first, ours.warm, ours.cpu, theirs.first, theirs.warm, theirs.cpu].map(shown).join(' | ')} | ${(ours.warm / theirs.warm).toFixed(2)} |`,
  )
}
for (const client of clients) await client[Symbol.asyncDispose]()
