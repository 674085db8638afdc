/**
 * Accounts of a private Dovecot, moved here by a first login through the whole service, beside programs that copy them: Dovecot's backup over imapc and pop3c, mbsync,
 * offlineimap, getmail and others.
 *
 *   node bench/migrate.ts [--from imap,pop3] [--set small,mixed] [--count N] [--few N] [--delay MS,MS] [--repeat N] [--peers a,b] [--json]
 *   node bench/migrate.ts --memory --count N [--octets N] [--from imap,pop3]
 *
 * Peers take turns. Wherry's services run before its time begins; it ends with the answer to LOGIN, when the account is made: probes of the old server, imapd and ms_syncd are
 * within. Its CPU is that of all its services, its memory the peak of ms_syncd. With --memory only Wherry runs, once, with messages of so many octets.
 */
import { chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { treeCpuMs } from '#test/support/cpu.ts'
import { startDovecot } from '#test/support/dovecot.ts'
import { programArgs } from '#test/support/program-args.ts'
import { RawImap } from '#test/support/raw-imap.ts'
import { startWherry } from '#test/support/wherry.ts'
import { imapPeers } from './imap-peers.ts'
import { behindDelay, measureIn, median, type Run } from './measure.ts'
import { benchMessages, type MessageSet, sizedMessages } from './messages.ts'
import type { Peer, Source } from './peer.ts'
import { pop3Peers } from './pop3-peers.ts'

const { values: options } = programArgs({
  options: {
    from: { type: 'string', default: 'imap,pop3' },
    set: { type: 'string', default: 'small,mixed' },
    count: { type: 'string', default: '5000' },
    few: { type: 'string', default: '1000' },
    octets: { type: 'string', default: '1000' },
    delay: { type: 'string', default: '0,20' },
    repeat: { type: 'string', default: '3' },
    peers: { type: 'string' },
    memory: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
  },
})
type Protocol = 'imap' | 'pop3'
const protocols = options.from.split(',').map((name): Protocol => (name === 'pop3' ? name : 'imap'))
const sets = options.set.split(',').map((set): MessageSet => (set === 'mixed' ? set : 'small'))
const delays = options.delay.split(',').map(Number)
const [count, few, repeat] = [Number(options.count), Number(options.few), Number(options.repeat)]
/** The slow ones are given fewer. */
const countFor = ({ mostMessages }: Peer): number =>
  mostMessages < Number.POSITIVE_INFINITY ? Math.min(few, count) : count
const userOf = (protocol: Protocol, set: MessageSet, messages: number): string => `${protocol}-${set}-${messages}`
const password = 'pw'
const mailboxes = 5

const others = (protocol: Protocol): readonly Peer[] =>
  (protocol === 'imap' ? imapPeers : pop3Peers).filter(
    ({ name }) =>
      !/^(wherry|raw)/.test(name) &&
      (options.peers === undefined || options.peers.split(',').some((wanted) => name.startsWith(wanted))),
  )

const work = mkdtempSync(join(tmpdir(), 'migrate-'))
// Some refuse to run as root.
chmodSync(work, 0o755)

/** In a fresh Wherry. */
async function moved(protocol: Protocol, from: Source, messages: number): Promise<Run> {
  await using wherry = await startWherry({
    options: {
      gateway_mode: false,
      auto_migrate: true,
      ms_syncd_host: '127.0.0.1',
      ms_syncd_protocol: protocol === 'imap' ? 'imap' : 'pop',
      ms_syncd_port: from.port,
    },
  })
  const services = ['ms_syncd', 'imapd', 'mseventd'] as const
  const cpu = () => services.reduce((sum, name) => sum + treeCpuMs(wherry.pids(name)[0]!), 0) / 1000
  const before = cpu()
  const started = performance.now()
  await using imap = await RawImap.connect(wherry.imapPort)
  await imap.login(from.user, from.password)
  const wallSeconds = (performance.now() - started) / 1000
  const used = cpu() - before
  const peaks = wherry.pids('ms_syncd').map((pid) => {
    const kilobytes = /VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1]
    return Number(kilobytes) / 1024
  })
  let all = 0
  for (const { text } of await imap.command('LIST "" "*"')) {
    const [status] = await imap.command(`STATUS ${/"[^"]*"$|[^ ]*$/.exec(text)![0]} (MESSAGES)`)
    all += Number(/MESSAGES (\d+)/.exec(status!.text)![1])
  }
  if (all !== messages) throw new Error(`${all} messages are here, of ${messages}`)
  return { messages, octets: 0, wallSeconds, cpuSeconds: used, peakMiB: Math.max(...peaks) }
}

const users = new Map(
  protocols.flatMap((protocol) =>
    (options.memory ? (['small'] as const) : sets).flatMap((set) =>
      [count, ...(options.memory ? [] : others(protocol).map(countFor))].map(
        (messages) => [userOf(protocol, set, messages), { protocol, set, messages }] as const,
      ),
    ),
  ),
)
await using dovecot = await startDovecot({
  users: Object.fromEntries([...users.keys()].map((user) => [user, password])),
  protocols: ['pop3', 'imap'],
})
const baseDirectory = resolve(dovecot.home('any'), '../../run')
const portOf = (protocol: Protocol) => (protocol === 'imap' ? dovecot.imapPort : dovecot.pop3Port)

/** All into the inbox for POP3 and for --memory, else evenly over the mailboxes. */
async function fill(user: string, protocol: Protocol, set: MessageSet, messages: number): Promise<void> {
  if (options.memory) return await dovecot.fill(user, sizedMessages(messages, Number(options.octets)))
  if (protocol === 'pop3') return await dovecot.fill(user, benchMessages(set, messages))
  const all = [...benchMessages(set, messages)]
  const share = Math.ceil(all.length / mailboxes)
  for (let at = 0; at < mailboxes; at++)
    await dovecot.fill(user, all.slice(at * share, (at + 1) * share), at === 0 ? 'INBOX' : `Folder ${at}`)
}

function report(title: string, results: ReadonlyMap<string, readonly Run[]>): void {
  const rows = [...results].map(([peer, runs]) => ({
    peer,
    messages: median(runs.map((run) => run.messages)),
    seconds: Number(median(runs.map((run) => run.wallSeconds)).toFixed(2)),
    messagesPerSecond: Math.round(median(runs.map((run) => run.messages / run.wallSeconds))),
    cpuMsPerMessage: Number(median(runs.map((run) => (run.cpuSeconds * 1000) / run.messages)).toFixed(3)),
    peakMiB: Math.round(median(runs.map((run) => run.peakMiB))),
  }))
  if (options.json) {
    console.log(JSON.stringify({ title, rows }))
    return
  }
  console.log(`\n${title}`)
  console.table(rows)
  const ours = rows.find(({ peer }) => peer === 'wherry')!
  for (const { peer, messagesPerSecond } of rows)
    if (peer !== 'wherry')
      console.log(`wherry / ${peer}: ${(ours.messagesPerSecond / messagesPerSecond).toFixed(2)} in messages/s`)
}

async function compare(protocol: Protocol, set: MessageSet, delayMs: number): Promise<void> {
  const { port, proxy } =
    delayMs > 0 ? await behindDelay(portOf(protocol), delayMs) : { port: portOf(protocol), proxy: undefined }
  const from = (messages: number) => ({ port, user: userOf(protocol, set, messages), password, baseDirectory })
  const results = new Map(
    ['wherry', ...others(protocol).map(({ name }) => name)].map((name): [string, Run[]] => [name, []]),
  )
  const add = (name: string, run: Run) => {
    results.get(name)!.push(run)
    console.error(`${name}: ${run.messages} messages in ${run.wallSeconds.toFixed(2)} s`)
  }
  try {
    for (let turn = 0; turn < repeat; turn++) {
      add('wherry', await moved(protocol, from(count), count))
      for (const peer of others(protocol)) add(peer.name, measureIn(work, peer, from(countFor(peer))))
    }
  } finally {
    proxy?.kill()
  }
  report(`moved by ${protocol}, ${set} messages, ${delayMs} ms each way, medians of ${repeat}`, results)
}

try {
  for (const [user, { protocol, set, messages }] of users) {
    await fill(user, protocol, set, messages)
    const from = { port: portOf(protocol), user, password, baseDirectory }
    // Dovecot builds its index at the first visit; nobody shall pay for that.
    const first = await moved(protocol, from, messages)
    if (options.memory)
      report(`moved by ${protocol}, messages of ${options.octets} octets`, new Map([['wherry', [first]]]))
  }
  if (!options.memory)
    for (const protocol of protocols)
      for (const set of sets) for (const delayMs of delays) await compare(protocol, set, delayMs)
} finally {
  rmSync(work, { recursive: true, force: true })
}
