/**
 * First synchronisation of a whole POP3 maildrop, or of an IMAP account with ten mailboxes, from a private Dovecot: Wherry beside others, in one run.
 *
 *   node bench/sync.ts [--from pop3,imap] [--again] [--set small,mixed] [--count N] [--delay MS,MS] [--repeat N] [--peers a,b] [--json]
 *
 * With --again each program runs a second time on what it has, when nothing is new: that time is told beside the rates.
 * Every set is fetched with every delay. The peers take turns, so that drift of the machine meets all alike; each run has a fresh
 * destination, and nothing is deleted before the end: some file systems make files slowly for minutes after a large deletion. Rates are
 * medians; what is claimed is a ratio within one run. CPU and peak memory are those of the program and its children, from GNU time. A
 * peer that is given fewer messages says so; its rate is per message all the same.
 */
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { startDovecot } from '#test/support/dovecot.ts'
import { programArgs } from '#test/support/program-args.ts'
import { imapPeers } from './imap-peers.ts'
import { behindDelay, measureIn, median, type Run } from './measure.ts'
import { benchMessages, type MessageSet } from './messages.ts'
import type { Peer } from './peer.ts'
import { pop3Peers } from './pop3-peers.ts'

const { values: options } = programArgs({
  options: {
    from: { type: 'string', default: 'pop3' },
    again: { type: 'boolean', default: false },
    set: { type: 'string', default: 'small' },
    count: { type: 'string' },
    delay: { type: 'string', default: '0' },
    repeat: { type: 'string', default: '3' },
    peers: { type: 'string' },
    json: { type: 'boolean', default: false },
  },
})
const sets = options.set.split(',').map((set) => (set === 'mixed' ? set : 'small'))
const delays = options.delay.split(',').map(Number)
const repeat = Number(options.repeat)
type Protocol = 'pop3' | 'imap'
const protocols = options.from.split(',').map((name): Protocol => (name === 'imap' ? name : 'pop3'))
const chosen = (protocol: Protocol): readonly Peer[] =>
  (protocol === 'imap' ? imapPeers : pop3Peers).filter(
    ({ name }) => options.peers === undefined || options.peers.split(',').some((wanted) => name.startsWith(wanted)),
  )
const imapMailboxes = 10

const work = mkdtempSync(join(tmpdir(), 'first-sync-'))
// getmail runs as nobody when we are root
chmodSync(work, 0o755)
const password = 'pw'
const countOf = (set: MessageSet, peer: Peer) =>
  Math.min(Number(options.count ?? (set === 'mixed' ? 3000 : 10_000)), peer.mostMessages)
const userOf = (protocol: Protocol, set: MessageSet, peer: Peer) => `${protocol}-${set}-${countOf(set, peer)}`
const users = new Map(
  protocols.flatMap((protocol) =>
    sets.flatMap((set) =>
      chosen(protocol).map(
        (peer) => [userOf(protocol, set, peer), { protocol, set, count: countOf(set, peer) }] as const,
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

async function compare(protocol: Protocol, set: MessageSet, delayMs: number): Promise<void> {
  const { port, proxy } =
    delayMs > 0 ? await behindDelay(portOf(protocol), delayMs) : { port: portOf(protocol), proxy: undefined }
  const results = new Map<Peer, Run[]>(chosen(protocol).map((peer) => [peer, []]))
  try {
    for (let turn = 0; turn < repeat; turn++)
      for (const [peer, done] of results) {
        const run = measureIn(
          work,
          peer,
          { port, user: userOf(protocol, set, peer), password, baseDirectory },
          options.again,
        )
        done.push(run)
        if (!options.json) console.error(`${peer.name}: ${run.messages} messages in ${run.wallSeconds.toFixed(2)} s`)
      }
  } finally {
    proxy?.kill()
  }
  report(protocol, set, delayMs, results)
}

/** All into the inbox for POP3, evenly over the mailboxes for IMAP. */
async function fill(user: string, protocol: Protocol, messages: Iterable<Buffer>): Promise<void> {
  if (protocol === 'pop3') return dovecot.fill(user, messages)
  const all = [...messages]
  const share = Math.ceil(all.length / imapMailboxes)
  for (let at = 0; at < imapMailboxes; at++)
    await dovecot.fill(user, all.slice(at * share, (at + 1) * share), at === 0 ? 'INBOX' : `Folder ${at}`)
}

function report(
  protocol: Protocol,
  set: MessageSet,
  delayMs: number,
  results: ReadonlyMap<Peer, readonly Run[]>,
): void {
  const rows = [...results].map(([peer, done]) => ({
    peer: peer.name,
    messages: median(done.map((run) => run.messages)),
    messagesPerSecond: Math.round(median(done.map((run) => run.messages / run.wallSeconds))),
    megabytesPerSecond: Number(median(done.map((run) => run.octets / run.wallSeconds / 1e6)).toFixed(1)),
    cpuSeconds: Number(median(done.map((run) => run.cpuSeconds)).toFixed(2)),
    cpuMsPerMessage: Number(median(done.map((run) => (run.cpuSeconds * 1000) / run.messages)).toFixed(3)),
    peakMiB: Math.round(median(done.map((run) => run.peakMiB))),
    ...(options.again ? { againSeconds: Number(median(done.map((run) => run.againSeconds ?? 0)).toFixed(2)) } : {}),
  }))
  if (options.json) {
    console.log(JSON.stringify({ protocol, set, delayMs, repeat, rows }))
    return
  }
  console.log(`\nfirst sync by ${protocol}, ${set} messages, ${delayMs} ms each way, medians of ${repeat}`)
  console.table(rows)
  const ours = rows.find((row) => row.peer === 'wherry')
  if (ours !== undefined)
    for (const row of rows)
      if (row !== ours)
        console.log(
          `wherry / ${row.peer}: ${(ours.messagesPerSecond / row.messagesPerSecond).toFixed(2)} in messages/s`,
        )
}

try {
  for (const [user, { protocol, set, count }] of users) {
    await fill(user, protocol, benchMessages(set, count))
    // Dovecot builds its index at the first visit; no peer shall pay for that
    measureIn(work, chosen(protocol)[0]!, { port: portOf(protocol), user, password, baseDirectory })
  }
  for (const protocol of protocols)
    for (const set of sets) for (const delayMs of delays) await compare(protocol, set, delayMs)
} finally {
  rmSync(work, { recursive: true, force: true })
}
