/** Two complete instances on two machines with one store, and a mseventd on the first that both reach over the link. */
import { execFileSync } from 'node:child_process'
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { staleMount } from '../support/bindfs.ts'
import { freePort } from '../support/free-port.ts'
import { type Machine, type TwoMachines, twoMachines } from '../support/machines.ts'
import { type ImapLine, RawImap } from '../support/raw-imap.ts'
import { startWherry, type Wherry } from '../support/wherry.ts'

export type Side = 'a' | 'b'

export interface TwoInstances extends AsyncDisposable {
  readonly machines: TwoMachines
  /** A client of the instance on this side, logged in, INBOX selected. */
  enter(side: Side): Promise<RawImap>
  /** mseventd, which runs on the first machine, goes or comes back. */
  stopEvents(): Promise<void>
  startEvents(): Promise<void>
  log(): string
}

const msadm = resolve(import.meta.dirname, '../../bin/msadm')
const [user, password] = ['lena', 'secret']

/** `cachedSeconds`: each instance sees the store through a mount of its own that believes what it saw for so long. */
export async function twoInstances({ cachedSeconds }: { cachedSeconds?: number } = {}): Promise<TwoInstances> {
  await using undo = new AsyncDisposableStack()
  const shared = mkdtempSync(join(tmpdir(), 'wherry-shared-'))
  undo.defer(() => rmSync(shared, { recursive: true, force: true }))
  chmodSync(shared, 0o755)
  const machines = undo.use(twoMachines())
  const options = {
    userdir: join(shared, 'user'),
    account_db: join(shared, 'accounts'),
    msevent_host: machines.a.linkAddress,
    msevent_port: await freePort(),
    gateway_mode: false,
  }
  const see = () => (cachedSeconds === undefined ? shared : undo.use(staleMount(shared, cachedSeconds)).directory)
  const start = (machine: Machine, service: 'imapd' | 'mseventd', directory: string) =>
    startWherry({
      command: machine.command,
      services: [service],
      options: { ...options, userdir: join(directory, 'user'), imap_host: machine.address },
    })
  let events: Wherry | undefined
  const startEvents = async () => {
    events = await start(machines.a, 'mseventd', shared)
  }
  undo.defer(() => events?.stop())
  await startEvents()
  const instances = {
    a: undo.use(await start(machines.a, 'imapd', see())),
    b: undo.use(await start(machines.b, 'imapd', see())),
  }
  execFileSync(msadm, ['-c', instances.a.configFile, 'add', '-p', password, user], {
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  const all = undo.move()
  return {
    machines,
    async enter(side) {
      const client = await RawImap.connect(instances[side].imapPort, machines[side].address)
      await client.login(user, password)
      await client.command('SELECT INBOX')
      return client
    },
    async stopEvents() {
      await events?.stop()
      events = undefined
    },
    startEvents,
    log: () => instances.a.log() + instances.b.log(),
    [Symbol.asyncDispose]: () => all[Symbol.asyncDispose](),
  }
}

/** APPENDUID of a message with this text; throws unless the server took it. */
export async function append(client: RawImap, text: string): Promise<number> {
  const message = `Subject: ${text}\r\n\r\n${text}\r\n`
  client.send(`a APPEND INBOX {${message.length}+}\r\n${message}\r\n`)
  const line = await client.until(/^a /)
  const uid = /^a OK \[APPENDUID \d+ (\d+)\]/.exec(line.text)?.[1]
  if (uid === undefined) throw new Error(line.text)
  return Number(uid)
}

/** Lines of an idling client, each with the time it came at (`performance.now()`). */
export async function idle(client: RawImap) {
  client.send('i IDLE\r\n')
  await client.until(/^\+/)
  return {
    /** Milliseconds from `since` to the first line that matches. */
    async seenAfter(since: number, pattern: RegExp): Promise<number> {
      await client.until(pattern)
      return performance.now() - since
    },
    async done(): Promise<void> {
      client.send('DONE\r\n')
      await client.until(/^i OK/)
    },
  }
}

/** What the mailbox holds as this client is told: `UID flags`, ascending. Takes in first what it wasn't told yet. */
export async function contents(client: RawImap): Promise<readonly string[]> {
  await client.command('NOOP')
  const lines = await client.command('FETCH 1:* (UID FLAGS)')
  return lines.flatMap(({ text }: ImapLine) => {
    const match = /^\* \d+ FETCH \(UID (\d+) FLAGS \(([^)]*)\)\)$/.exec(text)
    if (match === null) return []
    const flags = match[2]!.split(' ').filter((flag) => flag !== '\\Recent')
    return [`${match[1]} ${flags.sort().join(' ')}`.trim()]
  })
}
