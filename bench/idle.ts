/**
 * Clients that wait for mail, beside Dovecot in the same run: `npm run bench:idle -- --sessions 5000 --peer-sessions 100`. How long after another process delivered a message
 * an idle client is told of it, and what each idle session takes of memory (PSS of all processes of the server, before and behind the logins). Users have one mailbox with a few messages.
 * `--tls`; `--hibernate` has Dovecot hand idle sessions to one process; `--peer-sessions 0` leaves it out, which has a process and an inotify
 * instance for each: above fs.inotify.max_user_instances (mostly 128) it looks every 30 s only.
 */
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { connect as connectTls } from 'node:tls'
import { openAccounts } from '#src/auth/accounts.ts'
import { makeVerifiers } from '#src/auth/verifier.ts'
import { systemClock } from '#src/base/clock.ts'
import type { UserId } from '#src/base/ids.ts'
import { silentLog } from '#src/base/log.ts'
import { configOf } from '#src/config/config.ts'
import { connectEvents } from '#src/events/client.ts'
import { openMailStore } from '#src/server/mail-store.ts'
import { makeCertificate } from '#test/support/certificate.ts'
import { startDovecot } from '#test/support/dovecot.ts'
import { freePort } from '#test/support/free-port.ts'
import { programArgs } from '#test/support/program-args.ts'
import { startWherry } from '#test/support/wherry.ts'

const { values } = programArgs({
  options: {
    sessions: { type: 'string', default: '5000' },
    'peer-sessions': { type: 'string', default: '100' },
    users: { type: 'string', default: '500' },
    deliveries: { type: 'string', default: '200' },
    tls: { type: 'boolean', default: false },
    hibernate: { type: 'boolean', default: false },
  },
})
const users = Array.from({ length: Number(values.users) }, (_, index) => `user${index}@example.org`)
const password = 'secret'
const isTls = values.tls
const message = Buffer.from('From: a@example.org\r\nSubject: hello\r\n\r\nHello.\r\n')
/** Logins at the same time. */
const atOnce = 50
/** A delivery that nobody was told of after so long. */
const patienceMs = 60_000
/** For garbage to be collected, and for a server to put idle sessions aside. */
const settleMs = 15_000

interface Server {
  readonly name: string
  readonly port: number
  readonly pid: number
  readonly sessions: number
  deliver(user: string): Promise<void>
}

/** One idle client, which knows when it is told of a message. */
class Idler {
  readonly #socket: Socket
  #told: () => void = () => {}

  private constructor(socket: Socket) {
    this.#socket = socket
  }

  static async enter(port: number, user: string): Promise<Idler> {
    const to = { port, host: '127.0.0.1' }
    const socket = isTls ? connectTls({ ...to, rejectUnauthorized: false }) : connect(to)
    await once(socket, isTls ? 'secureConnect' : 'connect')
    const idler = new Idler(socket)
    const answer = idler.#answers()
    await answer('* OK')
    socket.write(`a LOGIN ${user} ${password}\r\n`)
    await answer('a OK')
    socket.write('b SELECT INBOX\r\n')
    await answer('b OK')
    socket.write('c IDLE\r\n')
    await answer('+ ')
    socket.removeAllListeners('data')
    socket.on('data', (chunk: Buffer) => {
      if (chunk.includes(' EXISTS')) idler.#told()
    })
    return idler
  }

  #answers(): (start: string) => Promise<void> {
    let text = ''
    let look: () => void = () => {}
    this.#socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1')
      look()
    })
    return (start) =>
      new Promise((resolve, reject) => {
        this.#socket.once('close', () => reject(new Error(`closed before "${start}": ${text}`)))
        look = () => {
          if (!text.split('\r\n').some((line) => line.startsWith(start)) || !text.endsWith('\r\n')) return
          text = ''
          resolve()
        }
        look()
      })
  }

  told(): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const timer = setTimeout(() => reject(new Error(`nothing told in ${patienceMs} ms`)), patienceMs)
    this.#told = () => {
      clearTimeout(timer)
      resolve()
    }
    return promise
  }

  leave(): void {
    this.#socket.destroy()
  }
}

function descendants(pid: number): number[] {
  try {
    const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').trim()
    return [pid, ...text.split(' ').filter(Boolean).map(Number).flatMap(descendants)]
  } catch {
    return []
  }
}

/** proc(5): what the processes have of memory, each page counted once. */
const memoryKb = (pid: number): number =>
  descendants(pid).reduce((sum, each) => {
    try {
      return sum + Number(/^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${each}/smaps_rollup`, 'latin1'))?.[1] ?? 0)
    } catch {
      return sum
    }
  }, 0)

const at = (sorted: readonly number[], part: number) =>
  sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))]!

async function measure({ name, port, pid, sessions, deliver }: Server): Promise<void> {
  // What a server reads and compiles once.
  for (const user of users) await deliver(user)
  const first = await Promise.all(users.slice(0, atOnce).map((user) => Idler.enter(port, user)))
  for (const idler of first) idler.leave()
  await sleep(settleMs)
  const before = memoryKb(pid)
  const idlers: Idler[] = []
  for (let from = 0; from < sessions; from += atOnce)
    idlers.push(
      ...(await Promise.all(
        Array.from({ length: Math.min(atOnce, sessions - from) }, (_, index) =>
          Idler.enter(port, users[(from + index) % users.length]!),
        ),
      )),
    )
  await sleep(settleMs)
  const kb = (memoryKb(pid) - before) / sessions
  const ms: number[] = []
  for (let count = 0; count < Number(values.deliveries); count++) {
    const index = (count * 37) % idlers.length
    const told = idlers[index]!.told()
    const start = performance.now()
    await deliver(users[index % users.length]!)
    const delivered = performance.now()
    await told
    ms.push(performance.now() - Math.min(delivered, performance.now()))
    if (performance.now() - start < 20) await sleep(20)
  }
  ms.sort((a, b) => a - b)
  console.log(`| ${name} | ${sessions} | ${kb.toFixed(1)} | ${at(ms, 0.5).toFixed(1)} | ${at(ms, 0.99).toFixed(1)} |`)
  for (const idler of idlers) idler.leave()
}

async function wherry(): Promise<void> {
  const imapsPort = await freePort()
  const certificate = join(process.env.TMPDIR ?? '/tmp', `idle-${process.pid}.pem`)
  const key = `${certificate}.key`
  if (isTls) makeCertificate(certificate, key)
  const tls = {
    enable_imaps: true,
    imaps_host: '127.0.0.1',
    imaps_port: imapsPort,
    tls_cert_file: certificate,
    tls_key_file: key,
  }
  await using service = await startWherry({
    services: ['mseventd', 'imapd'],
    options: { gateway_mode: false, failed_logins_per_minute: 0, ...(isTls ? tls : {}) },
  })
  const accounts = openAccounts(join(service.directory, 'accounts'))
  const verifiers = makeVerifiers(Buffer.from(password))
  for (const user of users)
    await accounts.add({ userId: user as UserId, state: 'enabled', verifiers, services: {}, properties: [] })
  await using events = connectEvents({
    address: { path: join(service.directory, 'mseventd.sock') },
    clock: systemClock,
    log: silentLog,
    name: 'bench',
  })
  const config = configOf({ userdir: service.userDirectory, account_db: join(service.directory, 'accounts') })
  await using store = openMailStore({ config, log: silentLog, clock: systemClock, events })
  await measure({
    name: 'Wherry',
    port: isTls ? imapsPort : service.imapPort,
    pid: service.pid,
    sessions: Number(values.sessions),
    deliver: async (user) => {
      const account = store.account(user as UserId)
      await account.ensure()
      await using inbox = await account.open('INBOX')
      await using delivery = inbox.deliver()
      const sink = delivery.add({ internalDate: Math.floor(Date.now() / 1000) })
      await sink.write(message)
      await sink.end()
      await delivery.commit()
    },
  })
}

async function dovecot(): Promise<void> {
  const sessions = Number(values['peer-sessions'])
  if (sessions === 0) return
  const limits =
    `service imap {\n  process_limit = ${sessions + 100}\n}\nservice imap-login {\n  process_limit = 1000\n}\ndefault_client_limit = ${sessions * 4 + 1000}\n` +
    'mail_max_userip_connections = 10000\n'
  const hibernation =
    'imap_hibernate_timeout = 2s\nservice imap {\n  unix_listener imap-master {\n    mode = 0666\n  }\n}\nservice imap-hibernate {\n  unix_listener imap-hibernate {\n    mode = 0666\n  }\n}\n'
  await using service = await startDovecot({
    users: Object.fromEntries(users.map((user) => [user, password])),
    protocols: ['imap'],
    tls: isTls,
    extra: limits + (values.hibernate ? hibernation : ''),
  })
  await measure({
    name: values.hibernate ? 'Dovecot, hibernating' : 'Dovecot',
    port: isTls ? service.imapsPort! : service.imapPort,
    pid: service.pid,
    sessions,
    deliver: (user) => service.fill(user, [message]),
  })
}

console.log(`${isTls ? 'TLS' : 'plain'}, ${values.users} users, ${values.deliveries} deliveries`)
console.log('| server | idle sessions | KB a session | push ms p50 | p99 |\n| --- | --- | --- | --- | --- |')
await wherry()
await dovecot()
