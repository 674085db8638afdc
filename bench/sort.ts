/**
 * SORT and THREAD beside Dovecot in the same run, both warm, over the same messages: `npm run bench:sort -- --count 10000 --repeat 7`. Cold is the first command after the
 * server started, when nothing was derived of any message. A second client asks for NOOP meanwhile: the longest that it waits is how long one user can keep others waiting.
 */
import { setTimeout as pause } from 'node:timers/promises'
import { programArgs } from '#test/support/program-args.ts'
import { mulberry32 } from '#test/support/random.ts'
import { RawImap } from '#test/support/raw-imap.ts'
import { password, startPair, user } from './imap-pair.ts'
import { median } from './measure.ts'

const { values } = programArgs({
  options: { count: { type: 'string', default: '10000' }, repeat: { type: 'string', default: '7' } },
})
const count = Number(values.count)
const dayMs = 86_400_000

/** Threads of some 8 messages, each an answer to any of those before; every 50th parent is not there. */
function* conversations(): Generator<Buffer> {
  const random = mulberry32(11)
  const pick = (below: number) => Math.floor(random() * below)
  const open: { topic: number; ids: string[]; references: string[][] }[] = []
  for (let index = 0; index < count; index += 1) {
    const isNew = open.length < 20 || random() < 0.12
    if (isNew) open.push({ topic: index, ids: [], references: [] })
    const at = isNew ? open.length - 1 : Math.max(0, open.length - 1 - pick(60))
    const { topic, ids, references } = open[at]!
    const parent = isNew ? undefined : pick(ids.length)
    const id = `${index}.${pick(1e9)}@bench.example`
    const above = parent === undefined ? [] : [...references[parent]!, pick(50) === 0 ? `lost${index}@x` : ids[parent]!]
    ids.push(id)
    references.push(above)
    const date = new Date(1_700_000_000_000 + index * 61_000 + pick(dayMs)).toUTCString().replace('GMT', '+0000')
    const subject = `${isNew ? '' : 'Re: '}[list] =?UTF-8?Q?=C3=84pfel_${topic % 977}?= and ${topic} others`
    yield Buffer.from(
      `Date: ${date}\r\nFrom: "Sender ${pick(400)}" <sender${pick(400)}@bench.example>\r\nTo: list@bench.example\r\nSubject: ${subject}\r\n` +
        `Message-ID: <${id}>\r\n${above.length > 0 ? `References: ${above.map((each) => `<${each}>`).join('\r\n ')}\r\n` : ''}\r\n${'text '.repeat(300)}\r\n`,
    )
  }
}

await using pair = await startPair(conversations)
const [wherry, dovecot] = pair.servers

const open = async (port: number) => {
  const imap = await RawImap.connect(port)
  await imap.login(user, password)
  return imap
}
const commands = [
  ...['SUBJECT', 'DATE', 'FROM', 'SIZE', 'ARRIVAL', 'DISPLAYFROM', 'REVERSE DATE SUBJECT'].map(
    (keys) => `SORT (${keys}) UTF-8 ALL`,
  ),
  ...['REFERENCES', 'REFS', 'ORDEREDSUBJECT'].map((algorithm) => `THREAD ${algorithm} UTF-8 ALL`),
]
console.log(`${count} messages; ms, medians of ${values.repeat}`)
console.log('| command | Wherry | Dovecot | Wherry : Dovecot |\n| --- | --- | --- | --- |')
const sessions = { wherry: await open(wherry.port), dovecot: await open(dovecot.port) }
const timed = async (imap: RawImap, command: string) => {
  const start = performance.now()
  await imap.command(command)
  return performance.now() - start
}
const row = (name: string, ours: number, theirs: number) =>
  console.log(`| ${name} | ${ours.toFixed(1)} | ${theirs.toFixed(1)} | ${(ours / theirs).toFixed(2)} |`)
for (const imap of Object.values(sessions)) await imap.command('SELECT INBOX')
row(`cold ${commands[0]}`, await timed(sessions.wherry, commands[0]!), await timed(sessions.dovecot, commands[0]!))
for (const command of commands) {
  const times = { wherry: [] as number[], dovecot: [] as number[] }
  for (let turn = 0; turn < Number(values.repeat); turn += 1)
    for (const name of ['wherry', 'dovecot'] as const) times[name].push(await timed(sessions[name], command))
  row(command, median(times.wherry), median(times.dovecot))
}

const other = await open(wherry.port)
for (const command of [commands[0]!, commands[7]!]) {
  let longest = 0
  let asked = 0
  let done = false
  const asking = (async () => {
    while (!done) {
      longest = Math.max(longest, await timed(other, 'NOOP'))
      asked += 1
      await pause(1)
    }
  })()
  await timed(sessions.wherry, command)
  done = true
  await asking
  console.log(`beside ${command}: NOOP waits ${longest.toFixed(1)} ms at most (${asked} asked)`)
}
