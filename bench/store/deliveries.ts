/** Durable deliveries a second, one message each: this store, Dovecot's LMTP into each of its formats, and C programs on the bare disk. */
import { execFileSync, fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { systemClock } from '#src/base/clock.ts'
import type { UserId } from '#src/base/ids.ts'
import { silentLog } from '#src/base/log.ts'
import { openStore } from '#src/store/store.ts'
import { startDovecot } from '#test/support/dovecot.ts'
import type { Format } from './dovecot-formats.ts'
import { withThreads } from './wherry-store.ts'

export interface Rate {
  readonly store: string
  readonly atOnce: number
  readonly messagesPerSecond: number
}

export interface Deliveries {
  /** The message that is stored. */
  readonly octets: Buffer
  /** Messages of each turn; a fifth of them over LMTP. */
  readonly count: number
  readonly atOnce: readonly number[]
  readonly repeat: number
  /** Dovecot's that are measured beside. */
  readonly formats: readonly Format[]
}

/** All take turns; one rate for each turn. */
export async function* deliveries(
  directory: string,
  { octets, count, atOnce, repeat, formats }: Deliveries,
): AsyncGenerator<Rate> {
  const threads = compiled(directory, 'disk-threads')
  const rounds = compiled(directory, 'disk-rounds')
  for (let turn = 0; turn < repeat; turn += 1)
    for (const writers of atOnce) {
      const own = mkdtempSync(join(directory, 'deliver-'))
      for (const folder of [0, 1]) {
        const disk = join(own, `disk${folder}`)
        mkdirSync(disk)
        const store = `C: write, fsync, link${folder === 1 ? ', fsync of the folder' : ''}`
        const rate = inC(threads, disk, writers, count, octets.length, folder)
        yield { store, atOnce: writers, messagesPerSecond: rate }
      }
      const disk = join(own, 'rounds')
      mkdirSync(disk)
      yield {
        store: 'C: the steps of Wherry',
        atOnce: writers,
        messagesPerSecond: inC(rounds, disk, writers, count, octets.length),
      }
      yield {
        store: 'Wherry',
        atOnce: writers,
        messagesPerSecond: await intoWherry(join(own, 'wherry'), octets, count, writers),
      }
      for (const format of formats)
        yield {
          store: `Dovecot ${format}, LMTP`,
          atOnce: writers,
          messagesPerSecond: await overLmtp(format, octets, Math.ceil(count / 5), writers),
        }
    }
}

function compiled(directory: string, name: string): string {
  const program = join(directory, name)
  execFileSync('cc', ['-O2', '-pthread', '-o', program, join(import.meta.dirname, `${name}.c`)])
  return program
}

function inC(program: string, disk: string, ...sizes: readonly number[]): number {
  return Number(execFileSync(program, [disk, ...sizes.map(String)], { encoding: 'utf8' }))
}

async function intoWherry(root: string, octets: Buffer, count: number, writers: number): Promise<number> {
  const child = fork(import.meta.filename, [root, `${count}`, `${writers}`, `${octets.length}`], {
    env: withThreads(),
  })
  const [rate] = (await once(child, 'message')) as [number]
  return rate
}

async function overLmtp(format: string, octets: Buffer, count: number, writers: number): Promise<number> {
  const extra = `mail_location = ${format}:~/mail\nservice lmtp {\n  process_limit = 64\n}\n`
  await using dovecot = await startDovecot({ users: { lena: 'pw' }, protocols: ['lmtp'], extra })
  const sessions = await Promise.all(Array.from({ length: writers }, () => LmtpSession.start(dovecot.lmtpPort!)))
  // The first one makes the mailbox.
  await sessions[0]!.deliver(octets)
  const start = performance.now()
  let left = count
  await Promise.all(
    sessions.map(async (session) => {
      while (left > 0) {
        left -= 1
        await session.deliver(octets)
      }
    }),
  )
  const seconds = (performance.now() - start) / 1000
  for (const session of sessions) session.end()
  return count / seconds
}

class LmtpSession {
  private readonly socket: Socket
  private readonly lines: AsyncIterator<string>

  private constructor(socket: Socket) {
    this.socket = socket
    this.lines = createInterface({ input: socket })[Symbol.asyncIterator]()
  }

  static async start(port: number): Promise<LmtpSession> {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true })
    await once(socket, 'connect')
    const session = new LmtpSession(socket)
    await session.reply('220')
    await session.say('LHLO bench.example', '250')
    return session
  }

  async deliver(octets: Buffer): Promise<void> {
    // Commands in one piece: RFC 2920 §3.1
    this.socket.write('MAIL FROM:<a@bench.example>\r\nRCPT TO:<lena>\r\nDATA\r\n')
    await this.reply('250')
    await this.reply('250')
    await this.reply('354')
    this.socket.write(Buffer.concat([octets, Buffer.from('\r\n.\r\n')]))
    await this.reply('250')
  }

  end(): void {
    this.socket.end('QUIT\r\n')
  }

  private async say(command: string, expected: string): Promise<void> {
    this.socket.write(`${command}\r\n`)
    await this.reply(expected)
  }

  private async reply(expected: string): Promise<void> {
    for (;;) {
      const { value, done } = await this.lines.next()
      if (done === true) throw new Error('the LMTP server hung up')
      if (!value.startsWith(expected)) throw new Error(`LMTP: ${value}`)
      if (value[3] === ' ') return
    }
  }
}

/** The process that is measured: arguments root, messages, deliveries at once, octets of a message. */
async function deliverAll(root: string, count: number, writers: number, octets: Buffer): Promise<number> {
  await using store = openStore({ root, clock: systemClock, log: silentLog })
  const account = store.account('lena@bench.example' as UserId)
  await account.ensure()
  await using inbox = await account.open('INBOX')
  const start = performance.now()
  let left = count
  await Promise.all(
    Array.from({ length: writers }, async () => {
      while (left > 0) {
        left -= 1
        await using delivery = inbox.deliver()
        const sink = delivery.add({ internalDate: 1_700_000_000 })
        await sink.write(octets)
        await sink.end()
        await delivery.commit()
      }
    }),
  )
  const seconds = (performance.now() - start) / 1000
  if (inbox.messages.length !== count) throw new Error(`${inbox.messages.length} of ${count} messages arrived`)
  return count / seconds
}

if (import.meta.main) {
  const [root, count, writers, octets] = process.argv.slice(2) as [string, string, string, string]
  process.send?.(await deliverAll(root, Number(count), Number(writers), Buffer.alloc(Number(octets), 'x')))
  process.disconnect?.()
}
