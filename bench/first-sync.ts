/**
 * First synchronisation of a whole POP3 maildrop from a private Dovecot: Wherry beside mpop, fetchmail and getmail, in one run.
 *
 *   node bench/first-sync.ts [--set small,mixed] [--count N] [--delay MS,MS] [--repeat N] [--peers a,b] [--json]
 *
 * Every set is fetched with every delay. The peers take turns, so that drift of the machine meets all alike; each run has a fresh
 * destination, and nothing is deleted before the end: some file systems make files slowly for minutes after a large deletion. Rates are
 * medians; what is claimed is a ratio within one run. CPU and peak memory are those of the program and its children, from GNU time. A
 * peer that is given fewer messages says so; its rate is per message all the same.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { startDovecot } from '#test/support/dovecot.ts'
import { freePort } from '#test/support/free-port.ts'
import { benchMessages, type MessageSet } from './messages.ts'
import { type Maildrop, type Peer, peers } from './pop3-peers.ts'

const { values: options } = parseArgs({
  options: {
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
const chosen =
  options.peers === undefined
    ? peers
    : peers.filter((peer) => options.peers!.split(',').some((name) => peer.name.startsWith(name)))

interface Run {
  readonly messages: number
  readonly octets: number
  readonly wallSeconds: number
  readonly cpuSeconds: number
  readonly peakMiB: number
}

const work = mkdtempSync(join(tmpdir(), 'first-sync-'))
// getmail runs as nobody when we are root
chmodSync(work, 0o755)
let runs = 0

/** Messages and octets that a Maildir peer stored. */
function stored(directory: string): { messages: number; octets: number } {
  let messages = 0
  let octets = 0
  for (const part of ['new', 'cur']) {
    const path = join(directory, 'Maildir', part)
    for (const name of readdirSync(path)) {
      messages++
      octets += statSync(join(path, name)).size
    }
  }
  return { messages, octets }
}

function measure(peer: Peer, from: Maildrop): Run {
  const directory = join(work, `run-${runs++}`)
  mkdirSync(directory, { mode: 0o755 })
  const timing = join(work, 'time')
  const started = performance.now()
  const result = spawnSync('/usr/bin/time', ['-q', '-o', timing, '-f', '%U %S %M', ...peer.command(from, directory)], {
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 600_000,
    maxBuffer: 1 << 26,
  })
  const wallSeconds = (performance.now() - started) / 1000
  const [user, system, peak] = readFileSync(timing, 'utf8').trim().split('\n').at(-1)!.split(' ').map(Number) as [
    number,
    number,
    number,
  ]
  const printed = /^(\d+) (\d+)$/m.exec(result.stdout.toString())
  const got = printed === null ? stored(directory) : { messages: Number(printed[1]), octets: Number(printed[2]) }
  if (got.messages === 0) throw new Error(`${peer.name} fetched nothing:\n${result.stdout}${result.stderr}`)
  return { ...got, wallSeconds, cpuSeconds: user + system, peakMiB: peak / 1024 }
}

async function behindDelay(backendPort: number, delayMs: number): Promise<{ port: number; proxy: ChildProcess }> {
  const port = await freePort()
  const proxy = spawn(
    process.execPath,
    [join(import.meta.dirname, 'delay-proxy.ts'), String(port), String(backendPort), String(delayMs)],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  )
  await new Promise((resolve) => proxy.stdout!.once('data', resolve))
  return { port, proxy }
}

const median = (values: readonly number[]) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]!

const password = 'pw'
const countOf = (set: MessageSet, peer: Peer) =>
  Math.min(Number(options.count ?? (set === 'mixed' ? 3000 : 10_000)), peer.mostMessages)
const userOf = (set: MessageSet, peer: Peer) => `${set}-${countOf(set, peer)}`
const users = new Map(
  sets.flatMap((set) => chosen.map((peer) => [userOf(set, peer), { set, count: countOf(set, peer) }] as const)),
)
await using dovecot = await startDovecot({
  users: Object.fromEntries([...users.keys()].map((user) => [user, password])),
  protocols: ['pop3'],
})

async function compare(set: MessageSet, delayMs: number): Promise<void> {
  const { port, proxy } =
    delayMs > 0 ? await behindDelay(dovecot.pop3Port, delayMs) : { port: dovecot.pop3Port, proxy: undefined }
  const results = new Map<Peer, Run[]>(chosen.map((peer) => [peer, []]))
  try {
    for (let turn = 0; turn < repeat; turn++)
      for (const peer of chosen) {
        const run = measure(peer, { port, user: userOf(set, peer), password })
        results.get(peer)!.push(run)
        if (!options.json) console.error(`${peer.name}: ${run.messages} messages in ${run.wallSeconds.toFixed(2)} s`)
      }
  } finally {
    proxy?.kill()
  }
  report(set, delayMs, results)
}

function report(set: MessageSet, delayMs: number, results: ReadonlyMap<Peer, readonly Run[]>): void {
  const rows = [...results].map(([peer, done]) => ({
    peer: peer.name,
    messages: median(done.map((run) => run.messages)),
    messagesPerSecond: Math.round(median(done.map((run) => run.messages / run.wallSeconds))),
    megabytesPerSecond: Number(median(done.map((run) => run.octets / run.wallSeconds / 1e6)).toFixed(1)),
    cpuSeconds: Number(median(done.map((run) => run.cpuSeconds)).toFixed(2)),
    cpuMsPerMessage: Number(median(done.map((run) => (run.cpuSeconds * 1000) / run.messages)).toFixed(3)),
    peakMiB: Math.round(median(done.map((run) => run.peakMiB))),
  }))
  if (options.json) {
    console.log(JSON.stringify({ set, delayMs, repeat, rows }))
    return
  }
  console.log(`\nfirst sync over POP3, ${set} messages, ${delayMs} ms each way, medians of ${repeat}`)
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
  for (const [user, { set, count }] of users) {
    await dovecot.fill(user, benchMessages(set, count))
    // Dovecot builds its index at the first visit; no peer shall pay for that
    measure(peers[0]!, { port: dovecot.pop3Port, user, password })
  }
  for (const set of sets) for (const delayMs of delays) await compare(set, delayMs)
} finally {
  rmSync(work, { recursive: true, force: true })
}
