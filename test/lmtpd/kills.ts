/**
 * lmtpd killed in the middle of deliveries over many connections, again and again, by clients that send again what was not acknowledged, as mail servers do.
 * Afterwards every message has to be there whole, once. The long form: `npm run prove:lmtp -- 2000`, with the connections as a second and the seed as a third argument.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { LmtpClient, stuffed } from '#bench/lmtp-client.ts'
import { openAccounts } from '#src/auth/accounts.ts'
import { makeVerifiers } from '#src/auth/verifier.ts'
import { systemClock } from '#src/base/clock.ts'
import type { UserId } from '#src/base/ids.ts'
import { silentLog } from '#src/base/log.ts'
import type { ConfigOverrides } from '#src/config/config.ts'
import { openStore } from '#src/store/store.ts'
import { freePort } from '../support/free-port.ts'
import { mulberry32 } from '../support/random.ts'
import { storedIn, withoutTrace } from './support.ts'

export interface Report {
  readonly kills: number
  readonly acknowledged: number
  /** Sent again for a recipient since no reply came. */
  readonly again: number
  /** Of those, told to be there by the time. */
  readonly thereBefore: number
  readonly faults: readonly string[]
}

export const configuration = (root: string): ConfigOverrides => ({
  login_disabled: false,
  domain: 'example.org',
  userdir: join(root, 'user'),
  account_db: join(root, 'accounts'),
  msgtrack_db: join(root, 'msgtrack'),
  // So that some of the messages go to the disk as they come.
  lmtp_data_size: 64,
})

const users = Array.from({ length: 10 }, (_, index) => `user${index}@example.org`)
/** A server is killed after so many replies at most, and this time. */
const mostReplies = 60
const mostMs = 20_000

/** A server that is killed and comes back. */
class Victim {
  /** Resolves when it listens. */
  ready: Promise<void> = Promise.resolve()
  private child: ChildProcess | undefined
  private readonly root: string
  private readonly port: number

  constructor(root: string, port: number) {
    this.root = root
    this.port = port
  }

  start(): Promise<void> {
    this.ready = this.begin()
    return this.ready
  }

  async kill(): Promise<void> {
    const ended = once(this.child!, 'exit')
    this.child!.kill('SIGKILL')
    await ended
  }

  private async begin(): Promise<void> {
    const program = join(import.meta.dirname, 'kill-server.ts')
    const child = spawn(process.execPath, [program, this.root, String(this.port)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    this.child = child
    const [first] = await Promise.race([once(child.stdout, 'data'), once(child, 'exit')])
    if (!Buffer.isBuffer(first)) throw new Error('lmtpd ended at its start')
  }
}

interface Sent {
  readonly number: number
  readonly octets: Buffer
  readonly recipients: readonly string[]
}

export async function killDeliveries(kills: number, connections = 32, seed = 1): Promise<Report> {
  const root = await mkdtemp(join(tmpdir(), 'lmtp-kills-'))
  try {
    await mkdir(join(root, 'run'))
    const accounts = openAccounts(join(root, 'accounts'))
    const verifiers = makeVerifiers(Buffer.from('secret'))
    for (const userId of users)
      await accounts.add({ userId: userId as UserId, state: 'enabled', verifiers, services: {}, properties: [] })
    const port = await freePort()
    const victim = new Victim(root, port)
    await victim.start()
    const random = mulberry32(seed)
    const sent: Sent[] = []
    let [acknowledged, again, thereBefore] = [0, 0, 0]
    const faults: string[] = []
    let isOver = false
    const connection = async () => {
      let client: LmtpClient | undefined
      while (!isOver) {
        const message = messageOf(sent.length, random)
        sent.push(message)
        let left = message.recipients
        while (left.length > 0) {
          let replies = 0
          try {
            await victim.ready
            client ??= await LmtpClient.connect(port)
            await client.deliver('sender@example.net', left, stuffed(message.octets), (reply) => {
              replies += 1
              acknowledged += 1
              if (!reply.startsWith('250 ')) faults.push(`${message.number}: ${reply}`)
              if (reply.includes('delivered before')) thereBefore += 1
            })
          } catch (error) {
            if (String(error).includes('not taken')) throw error
            client?.[Symbol.dispose]()
            client = undefined
          }
          left = left.slice(replies)
          again += left.length
        }
      }
      client?.[Symbol.dispose]()
    }
    const clients = Array.from({ length: connections }, connection)
    for (let kill = 0; kill < kills; kill++) {
      const enough = acknowledged + Math.floor(random() * mostReplies)
      const untilMs = systemClock.monotonic() + mostMs
      while (acknowledged < enough && systemClock.monotonic() < untilMs) await systemClock.sleep(random() * 10)
      await victim.kill()
      await victim.start()
    }
    isOver = true
    await Promise.all(clients)
    await victim.kill()
    faults.push(...(await check(root, sent)))
    return { kills, acknowledged, again, thereBefore, faults }
  } finally {
    await rm(root, { recursive: true })
  }
}

function messageOf(number: number, random: () => number): Sent {
  const lines = random() < 0.1 ? 3_000 : 20
  const text = `Message-Id: <${number}@example.net>\r\nSubject: ${number}\r\n\r\n${`${number}.${'x'.repeat(60)}\r\n`.repeat(lines)}`
  const first = Math.floor(random() * users.length)
  const count = random() < 0.7 ? 1 : 3
  const recipients = Array.from({ length: count }, (_, index) => users[(first + index) % users.length]!)
  return { number, octets: Buffer.from(text), recipients }
}

/** Every message once with each of its recipients, whole, and no other. */
async function check(root: string, sent: readonly Sent[]): Promise<readonly string[]> {
  const faults: string[] = []
  await using store = openStore({ root: join(root, 'user'), clock: systemClock, log: silentLog })
  for (const user of users) {
    const expected = new Map(
      sent.filter(({ recipients }) => recipients.includes(user)).map(({ number, octets }) => [digest(octets), number]),
    )
    const account = store.account(user as UserId)
    const found = (await account.exists()) ? await storedIn(account, 'INBOX') : []
    for (const octets of found) {
      const text = withoutTrace(octets)
      if (!expected.delete(digest(text))) faults.push(`${user} has twice, or not whole: ${text.slice(0, 80)}`)
    }
    for (const number of expected.values()) faults.push(`${user} has not ${number}, which was acknowledged`)
  }
  return faults
}

const digest = (octets: Buffer | string) => createHash('sha256').update(octets).digest('base64')

if (import.meta.main) {
  const [kills = 2_000, connections = 32, seed = Date.now() % 1_000_000] = process.argv.slice(2).map(Number)
  const report = await killDeliveries(kills, connections, seed)
  process.stdout.write(`${JSON.stringify({ seed, connections, ...report, faults: report.faults.length }, null, 1)}\n`)
  for (const fault of report.faults.slice(0, 20)) process.stdout.write(`violation: ${fault}\n`)
  process.exitCode = report.faults.length > 0 ? 1 : 0
}
