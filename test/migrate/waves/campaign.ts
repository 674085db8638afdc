/**
 * A wave of simulated users from its list to its closing date, as an operator runs it: msadm over real services, a Dovecot as the old server, with
 * everything planted that an inventory has to find.
 */
import { randomBytes } from 'node:crypto'
import { mkdir, mkdtemp, open, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable, Writable } from 'node:stream'
import { msadm } from '#src/cli/msadm/msadm.ts'
import { type Dovecot, startDovecot } from '../../support/dovecot.ts'
import { plainMessage } from '../../support/messages.ts'
import { type ScriptedPop3, scriptedPop3 } from '../../support/pop3-script.ts'
import { mulberry32 } from '../../support/random.ts'
import { RawImap } from '../../support/raw-imap.ts'
import { startWherry, type Wherry } from '../../support/wherry.ts'

export const plantedKinds = [
  'no-uidl',
  'over-quota',
  'colliding-names',
  'no-consent',
  'oversized',
  'wrong-password',
] as const
export type Planted = (typeof plantedKinds)[number]
/** Those who can't be moved as they are. */
const blocking: ReadonlySet<Planted> = new Set<Planted>(['no-consent', 'wrong-password'])

export interface Scale {
  readonly users: number
  /** Users of each kind of risk. */
  readonly planted: number
  /** At most, in a mailbox. */
  readonly messages: number
}

export interface Called {
  readonly status: number
  readonly out: string
  readonly err: string
  /** With --json. */
  readonly lines: readonly Readonly<Record<string, unknown>>[]
}

export interface Stage extends AsyncDisposable {
  readonly dovecot: Dovecot
  readonly wherry: Wherry
  readonly csv: string
  readonly users: readonly string[]
  /** By the user's name. */
  readonly planted: ReadonlyMap<string, Planted>
  /** Messages at the old servers that can be seen. */
  readonly messages: number
  readonly isMovable: (user: string) => boolean
  /** `msadm wave …` */
  wave(...args: readonly string[]): Promise<Called>
  /** Kills ms_syncd, which is started again. */
  kill(): void
}

export const domain = 'gateway.example'
const oversized = (1 << 30) + 4_096

export const stageWave = async ({ users: count, planted: each, messages: most }: Scale, seed = 1): Promise<Stage> => {
  const random = mulberry32(seed)
  const users = Array.from({ length: count }, (_, at) => `u${String(at + 1).padStart(3, '0')}`)
  const planted = new Map<string, Planted>()
  // Not among the first ones, whose pulls are measured.
  const planting = users.toReversed().filter((_, at) => at % Math.floor(count / (plantedKinds.length * each)) === 0)
  for (let at = 0; at < plantedKinds.length * each; at++)
    planted.set(planting[at]!, plantedKinds[at % plantedKinds.length]!)
  const dovecot = await startDovecot({
    users: Object.fromEntries(users.map((user) => [user, 'secret'])),
    protocols: ['imap'],
  })
  const old = await oldMaildrop()
  let messages = 0
  let made = 0
  const fill = async (user: string, number: number, mailbox?: string) => {
    const batch = Array.from({ length: number }, (_, at) =>
      plainMessage(made + at, 500 + Math.floor(random() ** 3 * 40_000)),
    )
    // Nobody can count behind a wrong password.
    if (planted.get(user) !== 'wrong-password') messages += number
    made += number
    await dovecot.fill(user, batch, mailbox)
  }
  for (const user of users) {
    const kind = planted.get(user)
    if (kind === 'no-uidl') {
      messages += old.messages.length
      continue
    }
    await fill(user, 1 + Math.floor(random() * most))
    for (const name of ['Sent', 'Archive/2025'])
      if (random() < 0.5) await fill(user, Math.floor((random() * most) / 2), name)
    if (kind === 'colliding-names') await makeAlike(dovecot, user)
    if (kind === 'oversized') {
      await putOversized(dovecot, user)
      messages += 1
    }
  }
  const record = (user: string): string => {
    const id = `frontend_id='${user}@${domain}' backend_id='${user}'`
    if (planted.get(user) === 'no-uidl') return `<user ${id} protocol='pop' host='127.0.0.1' port='${old.port}'/>`
    return `<user ${id}><backend host='127.0.0.1' port='${dovecot.imapPort}' protocol='imap' backend_id='${user}' auth='oauth' oauth_provider='p' mailbox='Other/'/></user>`
  }
  const recorded = users.filter((user) => ['no-uidl', 'no-consent'].includes(planted.get(user) ?? ''))
  const directory = await mkdtemp(join(tmpdir(), 'wave-'))
  const keyFile = join(directory, 'key')
  await writeFile(keyFile, randomBytes(32))
  const wherry = await startWherry({
    services: ['mseventd', 'ms_syncd', 'imapd'],
    options: {
      gateway_mode: false,
      auto_migrate: true,
      ms_syncd_host: '127.0.0.1',
      ms_syncd_protocol: 'imap',
      ms_syncd_port: dovecot.imapPort,
      migration_key_file: keyFile,
    },
    userDatabase: `<xmldb>
      <oauth_provider name='p' client_id='id' client_secret='x' token_endpoint='http://127.0.0.1:1/token'/>
      ${recorded.map(record).join('\n')}
    </xmldb>`,
  })
  const csv = join(wherry.directory, 'users.csv')
  const rows = users.map((user) => {
    const kind = planted.get(user)
    return `${user},${kind === 'wrong-password' ? 'wrong' : 'secret'},${kind === 'over-quota' ? '1' : ''}`
  })
  await writeFile(csv, `userid,password,mboxMessageSizeQuota\n${rows.join('\n')}\n`)
  return {
    dovecot,
    wherry,
    csv,
    users,
    planted,
    messages,
    isMovable: (user) => !blocking.has(planted.get(user) as Planted),
    wave: (...args) => call(wherry, ['wave', ...args]),
    kill: () => {
      for (const pid of wherry.pids('ms_syncd')) process.kill(pid, 'SIGKILL')
    },
    [Symbol.asyncDispose]: async () => {
      await wherry.stop()
      await dovecot.stop()
      await old[Symbol.asyncDispose]()
      await rm(directory, { recursive: true, force: true })
    },
  }
}

/** A server of the nineties, whose maildrop has no unique-ids. No server of today can be made to be one. */
const oldMaildrop = async (): Promise<ScriptedPop3> => {
  const messages = [1, 2, 3, 4].map((n) => ({ uidl: `${n}`, octets: plainMessage(1_000_000 + n) }))
  const server = await scriptedPop3({ messages, capabilities: ['TOP', 'USER'], password: 'secret' })
  server.on('UIDL', () => '-ERR unknown command\r\n')
  return server
}

/** U+00DC, and U with U+0308: the same letter here, and not there. */
const makeAlike = async (dovecot: Dovecot, user: string): Promise<void> => {
  await using imap = await RawImap.connect(dovecot.imapPort)
  await imap.login(user, 'secret')
  for (const name of ['&ANw-bung', 'U&Awg-bung']) await imap.command(`CREATE "${name}"`)
}

/** A file that takes no room, whose name tells its size. */
const putOversized = async (dovecot: Dovecot, user: string): Promise<void> => {
  const place = join(dovecot.home(user), 'Maildir')
  await mkdir(join(place, 'tmp'), { recursive: true })
  const file = await open(join(place, 'tmp', 'large'), 'w')
  await file.truncate(oversized)
  await file.close()
  await rename(join(place, 'tmp', 'large'), join(place, 'new', `1700000000.M1P1.test,S=${oversized},W=${oversized}`))
}

const call = async ({ configFile }: Wherry, args: readonly string[]): Promise<Called> => {
  const output = { out: '', err: '' }
  const collect = (name: 'out' | 'err') =>
    new Writable({
      write: (chunk, _, done) => {
        output[name] += chunk
        done()
      },
    })
  const status = await msadm(['-c', configFile, ...args], {
    input: Readable.from([]),
    out: collect('out'),
    err: collect('err'),
  })
  const lines = args.includes('--json')
    ? output.out
        .split('\n')
        .filter(Boolean)
        .map((line) => JSON.parse(line))
    : []
  return { status, ...output, lines }
}
