/**
 * `npm run prove:migration-kills -- KILLS [--minutes N] [--messages N] [--at-once N] [--seed N]`
 *
 * Users move from a Dovecot here by their first logins while ms_syncd is killed (SIGKILL) and started again, at random moments, over and over. Each logs in until he is let in;
 * then everything has to be here once. What is pulled twice is counted by what Dovecot says that it sent. MIG-04, MIG-06, mdir invariant 6
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { resolve } from 'node:path'
import { programArgs } from '#test/support/program-args.ts'
import { type Dovecot, startDovecot } from '../../support/dovecot.ts'
import { plainMessage } from '../../support/messages.ts'
import { mulberry32 } from '../../support/random.ts'
import { RawImap } from '../../support/raw-imap.ts'
import { startWherry, type Wherry } from '../../support/wherry.ts'
import type { OldProtocol } from './campaign.ts'
import { compareImap, comparePop3 } from './compare.ts'
import { readImap } from './read-imap.ts'
import { readPop3 } from './read-pop3.ts'

export interface KillOptions {
  readonly kills: number
  readonly messages: number
  /** Users who move at the same time. */
  readonly atOnce: number
  readonly seed: number
  /** Ends when this has passed, however many were killed. */
  readonly milliseconds?: number
  readonly tell?: (text: string) => void
}

export interface KillResult {
  kills: number
  users: number
  messages: number
  /** Sessions with the old server that were broken by a kill after they had sent messages. */
  interrupted: number
  /** Messages that it sent more than once. */
  repeated: number
  /** The most of one user, for each of his interrupted sessions. */
  mostRepeated: number
  readonly violations: string[]
}

const password = 'secret'
/** Of a process, or three times as long as its start took: a busy machine gets as far in longer. */
const longestLifeMs = 1_500
/** What may be under way, and come again: a batch that waits for the disk or is filled meanwhile, and the commands sent ahead (gateway/sync/inject/direct.ts, gateway/backend). */
const mostAgain = 1_000 + 512

export async function kills(protocol: OldProtocol, options: KillOptions): Promise<KillResult> {
  const { seed, messages, atOnce, tell = () => {} } = options
  const random = mulberry32(seed)
  const result: KillResult = {
    kills: 0,
    users: 0,
    messages: 0,
    interrupted: 0,
    repeated: 0,
    mostRepeated: 0,
    violations: [],
  }
  const users = Array.from({ length: atOnce + 4 * options.kills }, (_, at) => `u${at}`)
  await using old = await startDovecot({
    users: Object.fromEntries(users.map((user) => [user, password])),
    protocols: ['imap', 'pop3'],
  })
  await using wherry = await startWherry({
    options: {
      gateway_mode: false,
      auto_migrate: true,
      ms_syncd_host: '127.0.0.1',
      ms_syncd_protocol: protocol,
      ms_syncd_port: protocol === 'imap' ? old.imapPort : old.pop3Port,
    },
  })
  const endsAt = performance.now() + (options.milliseconds ?? Number.POSITIVE_INFINITY)
  const isOver = () => result.kills >= options.kills || performance.now() > endsAt
  // mbox does not start again what ended in order. It would wait longer and longer before it starts what was killed.
  for (const pid of wherry.pids('ms_syncd')) process.kill(pid, 'SIGTERM')
  while (wherry.pids('ms_syncd').length > 0) await new Promise((wake) => setTimeout(wake, 50))
  let startedAt = performance.now()
  let daemon = await start(wherry)
  let lifeMs = Math.max(longestLifeMs, 3 * (performance.now() - startedAt))
  const moving = Array.from({ length: atOnce }, async (_, lane) => {
    for (let at = lane; !isOver(); at += atOnce) {
      const user = users[at % users.length]!
      if (at >= users.length) return
      await old.fill(
        user,
        Array.from({ length: messages }, (_, index) => plainMessage(at * messages + index, 700)),
      )
      if (protocol === 'imap') await old.fill(user, [plainMessage(at, 800, 2), plainMessage(at, 900, 3)], 'Sent')
      await move(protocol, user, old, wherry, result)
      tell(`${user} moved; ${result.kills} kills so far`)
    }
  })
  const all = Promise.all(moving)
  let done = false
  void all.finally(() => {
    done = true
  })
  while (!done && !isOver()) {
    await new Promise((wake) => setTimeout(wake, random() * lifeMs))
    if (done || isOver()) break
    await killed(daemon)
    result.kills += 1
    startedAt = performance.now()
    daemon = await start(wherry)
    lifeMs = Math.max(longestLifeMs, 3 * (performance.now() - startedAt))
  }
  try {
    await all
  } finally {
    await killed(daemon)
  }
  await countSent(old, result)
  return result
}

/** With the process that does the work. */
async function killed(daemon: ChildProcess): Promise<void> {
  const ended = once(daemon, 'close')
  process.kill(-daemon.pid!, 'SIGKILL')
  await ended
}

/** Resolves when it says that it runs. */
async function start({ configFile }: Wherry): Promise<ChildProcess> {
  const daemon = spawn(resolve(import.meta.dirname, '../../../bin/ms_syncd'), ['-d', '-c', configFile], {
    stdio: ['ignore', 'ignore', 'pipe'],
    detached: true,
  })
  let said = ''
  await new Promise<void>((ready, failed) => {
    daemon.stderr!.setEncoding('utf8').on('data', (text: string) => {
      said = (said + text).slice(-4000)
      if (said.includes('running')) ready()
    })
    daemon.once('exit', () => failed(new Error(`ms_syncd ended: ${said}`)))
  })
  return daemon
}

async function move(
  protocol: OldProtocol,
  user: string,
  old: Dovecot,
  wherry: Wherry,
  result: KillResult,
): Promise<void> {
  const giveUpAt = performance.now() + 300_000
  for (;;) {
    try {
      await using imap = await RawImap.connect(wherry.imapPort)
      await imap.login(user, password)
      break
    } catch (error) {
      if (performance.now() > giveUpAt) throw new Error(`${user} is never let in`, { cause: error })
      // What the client of a user does, only sooner.
      await new Promise((wake) => setTimeout(wake, 100))
    }
  }
  const { differences, messages } =
    protocol === 'imap'
      ? compareImap(await readImap(old.imapPort, user, password), await readImap(wherry.imapPort, user, password))
      : comparePop3(await readPop3(old.pop3Port, user, password), await readPop3(wherry.pop3Port, user, password))
  result.violations.push(...differences.map((text) => `${user}: ${text}`))
  result.users += 1
  result.messages += messages
}

/** Dovecot tells at the end of every session what it sent: `retr=40/28000`, `body_count=40`. */
async function countSent(old: Dovecot, result: KillResult): Promise<void> {
  const sent = new Map<string, number[]>()
  for (const line of (await old.log()).split('\n')) {
    const found = /(?:imap|pop3)\((u\d+)\).*(?:retr=|body_count=)(\d+)/.exec(line)
    const count = Number(found?.[2] ?? 0)
    if (found !== null && count > 0) sent.set(found[1]!, [...(sent.get(found[1]!) ?? []), count])
  }
  for (const [user, counts] of sent) {
    const listed = counts.at(-1)!
    // The last one is that of the comparison.
    const repeated = counts.slice(0, -1).reduce((sum, count) => sum + count, 0) - listed
    const interrupted = Math.max(0, counts.length - 2)
    result.interrupted += interrupted
    result.repeated += Math.max(0, repeated)
    if (repeated > 0 && interrupted > 0)
      result.mostRepeated = Math.max(result.mostRepeated, Math.ceil(repeated / interrupted))
    if (repeated > mostAgain * interrupted)
      result.violations.push(`${user}: ${repeated} messages came again, after ${interrupted} sessions that broke`)
  }
}

if (import.meta.main) {
  const { values, positionals } = programArgs({
    allowPositionals: true,
    options: {
      protocols: { type: 'string', default: 'imap,pop' },
      minutes: { type: 'string', default: '600' },
      messages: { type: 'string', default: '3000' },
      'at-once': { type: 'string', default: '3' },
      seed: { type: 'string', default: '1' },
    },
  })
  const protocols = values.protocols.split(',').map((name): OldProtocol => (name === 'pop' ? name : 'imap'))
  for (const protocol of protocols) {
    const result = await kills(protocol, {
      kills: Math.ceil(Number(positionals[0] ?? 1000) / protocols.length),
      messages: Number(values.messages),
      atOnce: Number(values['at-once']),
      seed: Number(values.seed),
      milliseconds: (Number(values.minutes) * 60_000) / protocols.length,
      tell: (text) => console.log(text),
    })
    console.log(
      `${protocol}: ${result.kills} kills, ${result.users} users with ${result.messages} messages: ${result.violations.length} differences; ${result.interrupted} sessions broke in the middle, ` +
        `${result.repeated} messages came again, at most ${result.mostRepeated} for each session of a user that broke`,
    )
    for (const text of result.violations) console.log(`  ${text}`)
    if (result.violations.length > 0) process.exitCode = 1
  }
}
