/**
 * A user with a large mailbox is moved from an old server that is far away: how long until a client has a first page, what that takes here, and whether random bodies
 * that have not come are the right ones. Beside a real Dovecot, without delay and behind 100 ms each way.
 *
 *     npm run bench:first-page -- 100000
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { chownSync, linkSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { startDovecot } from '#test/support/dovecot.ts'
import { freePort } from '#test/support/free-port.ts'
import { mulberry32 } from '#test/support/random.ts'
import { RawImap } from '#test/support/raw-imap.ts'
import { startWherry, type Wherry } from '#test/support/wherry.ts'
import { benchMessages } from './messages.ts'

const count = Number(process.argv[2] ?? 100_000)
const delays = process.argv[3] === undefined ? [0, 100] : [Number(process.argv[3])]
/** Contents that differ; each message is one of them. */
const contents = 1000
const page = 50
const random = mulberry32(7)

const services = ['ms_syncd', 'imapd', 'mseventd'] as const

/** Seconds of CPU of the processes of each service so far. */
function cpuOf(wherry: Wherry): readonly number[] {
  const ticksOf = (pid: number) => {
    const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]!.split(' ')
    return Number(fields[11]) + Number(fields[12])
  }
  return services.map((service) => wherry.pids(service).reduce((sum, pid) => sum + ticksOf(pid), 0) / 100)
}

/** A Maildir whose files have several names: many messages in a moment. */
function fillByLinks(home: string): void {
  const maildir = join(home, 'Maildir')
  const owner = (path: string) => {
    if (process.getuid?.() === 0) chownSync(path, ownerOf.uid, ownerOf.gid)
  }
  for (const path of [home, maildir, ...['cur', 'new', 'tmp'].map((name) => join(maildir, name))]) {
    mkdirSync(path, { recursive: true, mode: 0o700 })
    owner(path)
  }
  const second = Math.floor(Date.now() / 1000)
  const firsts: { readonly path: string; readonly octets: number }[] = []
  const texts = [...benchMessages('small', contents)]
  for (let at = 0; at < count; at += 1) {
    const octets = texts[at % contents]!.length
    const name = `${second}.M${String(at).padStart(9, '0')}P1.bench,S=${octets},W=${octets}:2,${at % 3 === 0 ? '' : 'S'}`
    const path = join(maildir, 'cur', name)
    const first = firsts[at % contents]
    if (first !== undefined) linkSync(first.path, path)
    else {
      writeFileSync(path, texts[at]!, { mode: 0o600 })
      owner(path)
      firsts[at] = { path, octets }
    }
  }
}

const digest = (octets: Buffer) => createHash('sha256').update(octets).digest('hex')
async function bodies(imap: RawImap, uids: readonly number[]): Promise<readonly string[]> {
  const found: string[] = []
  for (const uid of uids)
    for (const { literals } of await imap.command(`UID FETCH ${uid} BODY.PEEK[]`)) found.push(...literals.map(digest))
  return found
}

const users = delays.map((delay) => `user${delay}`)
await using dovecot = await startDovecot({
  users: Object.fromEntries([...users, 'owner'].map((user) => [user, 'secret'])),
  protocols: ['imap'],
})
await dovecot.fill('owner', benchMessages('small', 1))
const ownerOf = statSync(dovecot.home('owner'))
console.log(`${count} messages; load ${readFileSync('/proc/loadavg', 'latin1').split(' ')[0]}`)
for (const [index, delay] of delays.entries()) {
  const user = users[index]!
  fillByLinks(dovecot.home(user))
  await using old = await RawImap.connect(dovecot.imapPort)
  await old.login(user, 'secret')
  await old.command('EXAMINE INBOX')
  const began = performance.now()
  // Also what makes Dovecot's index, as an old server in use has it.
  await old.command('FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE)')
  const indexed = performance.now()
  await old.command('FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE)')
  console.log(
    `${2 * delay} ms of round trip; Dovecot alone lists in ${seconds(performance.now() - indexed)} s, ${seconds(indexed - began)} s the first time`,
  )
  const port = await freePort()
  const proxy: ChildProcess = spawn(
    process.execPath,
    [join(import.meta.dirname, 'delay-proxy.ts'), `${port}`, `${dovecot.imapPort}`, `${delay}`],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  )
  await once(proxy.stdout!, 'data')
  try {
    const backend = { ms_syncd_host: '127.0.0.1', ms_syncd_protocol: 'imap', ms_syncd_port: port }
    await using wherry = await startWherry({
      options: { gateway_mode: false, auto_migrate: true, backend_fast_login: true, ...backend },
    })
    await using imap = await RawImap.connect(wherry.imapPort)
    const timed = async <T>(what: string, work: () => Promise<T>): Promise<T> => {
      const [start, cpu] = [performance.now(), cpuOf(wherry)]
      const result = await work()
      const took = performance.now() - start
      const used = cpuOf(wherry).map((each, index) => each - cpu[index]!)
      const of = services.map((service, index) => `${service} ${used[index]!.toFixed(2)}`).join(', ')
      const all = used.reduce((sum, each) => sum + each, 0)
      console.log(`  ${what.padEnd(34)} ${seconds(took).padStart(6)} s, CPU here ${all.toFixed(2)} s (${of})`)
      return result
    }
    await timed('in all', async () => {
      await timed('LOGIN', () => imap.login(user, 'secret'))
      const selected = await timed('SELECT', () => imap.command('SELECT INBOX'))
      if (!selected.some(({ text }) => text === `* ${count} EXISTS`)) throw new Error('SELECT shows another number')
      const lines = await timed(`newest ${page}: FLAGS ENVELOPE`, () =>
        imap.command(`FETCH ${Math.max(1, count - page + 1)}:${count} (FLAGS ENVELOPE)`),
      )
      if (lines.filter(({ text }) => text.includes('ENVELOPE (')).length !== Math.min(page, count))
        throw new Error('the page is not complete')
    })
    const uids = Array.from({ length: 20 }, () => 1 + Math.floor(random() * count))
    const here = await timed('20 random bodies, one by one', () => bodies(imap, uids))
    const there = await bodies(old, uids)
    const right = here.filter((each, at) => each === there[at]).length
    console.log(`  ${right} of ${there.length} bodies are the old server's`)
    if (right !== there.length) process.exitCode = 1
    await timed('list of all: UID FLAGS SIZE', () => imap.command('FETCH 1:* (UID FLAGS RFC822.SIZE)'))
  } finally {
    proxy.kill()
  }
}

function seconds(ms: number): string {
  return (ms / 1000).toFixed(2)
}
