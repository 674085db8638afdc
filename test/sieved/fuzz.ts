/**
 * Octets that are near ManageSieve, for a session that reads and writes in memory: whatever comes, the daemon answers what is behind it, or says BYE. Told:
 * what the session did instead, and turns of the event loop that took too long.
 */
import type { Authenticator } from '#src/auth/types.ts'
import { systemClock } from '#src/base/clock.ts'
import { AuthError } from '#src/base/errors.ts'
import type { UserId } from '#src/base/ids.ts'
import { silentLog } from '#src/base/log.ts'
import { configOf } from '#src/config/config.ts'
import type { ClientConnection } from '#src/server/types.ts'
import { Session } from '#src/sieved/session.ts'
import { settingsOf } from '#src/sieved/settings.ts'
import type { Account, Store } from '#src/store/types.ts'
import { MemoryBus } from '../imapd/support.ts'
import { mulberry32 } from '../support/random.ts'

export interface Found {
  readonly sent: string
  readonly reason: string
  readonly said: string
}

const seeds = [
  'CAPABILITY\r\n',
  'NOOP "tag"\r\n',
  'NOOP {3+}\r\na"b\r\n',
  'LISTSCRIPTS\r\n',
  'PUTSCRIPT "foo" {31+}\r\n#comment\r\nInvalidSieveCommand\r\n\r\n',
  'PUTSCRIPT "a" {29+}\r\nrequire "fileinto"; keep; #é\r\n',
  'CHECKSCRIPT "if header :contains \\"a\\" \\"b\\" { stop; }"\r\n',
  'GETSCRIPT "a"\r\n',
  'SETACTIVE "a"\r\n',
  'SETACTIVE ""\r\n',
  'RENAMESCRIPT "a" {1+}\r\nb\r\n',
  'DELETESCRIPT "b"\r\n',
  'HAVESPACE "a" 4096\r\n',
  'UNAUTHENTICATE\r\n',
  'AUTHENTICATE "PLAIN"\r\n"AGFubmEAc2VjcmV0"\r\n',
  'AUTHENTICATE "PLAIN" {16+}\r\nAGFubmEAc2VjcmV0\r\n',
  'STARTTLS\r\n',
  'LOGOUT\r\n',
]
const spice = [
  '"',
  '\\',
  '{',
  '}',
  '+',
  '{1+}\r\n',
  '{4294967295+}\r\n',
  '\r\n',
  '\n',
  '\r',
  '\0',
  ' ',
  '(',
  ')',
  'é',
  '\xff',
  '0',
  'x'.repeat(1_100),
]

/** Longest turn of the event loop, in time of the processor: others work on this machine, too. */
const maxTurnMs = 50

export async function* fuzz(inputs: number, seed: number): AsyncGenerator<Found> {
  const random = mulberry32(seed)
  const pick = <T>(values: readonly T[]): T => values[Math.floor(random() * values.length)]!
  const mutated = (): string => {
    let text = ''
    for (let count = 1 + Math.floor(random() * 3); count > 0; count -= 1) text += pick(seeds)
    for (let count = Math.floor(random() * 4); count > 0; count -= 1) {
      const at = Math.floor(random() * (text.length + 1))
      const what = random()
      if (what < 0.4) text = text.slice(0, at) + pick(spice) + text.slice(at)
      else if (what < 0.6) text = text.slice(0, at) + text.slice(at + Math.floor(random() * 8))
      else if (what < 0.8)
        text = text.slice(0, at) + String.fromCharCode(Math.floor(random() * 256)) + text.slice(at + 1)
      else text = text.slice(0, at) + text.slice(Math.floor(random() * text.length))
    }
    return text
  }
  for (let input = 0; input < inputs; input += 1) {
    const sent = mutated()
    const found = await answered(sent, random)
    if (found !== undefined) yield { sent, ...found }
  }
}

async function answered(sent: string, random: () => number): Promise<Omit<Found, 'sent'> | undefined> {
  const wire = new Wire(random() < 0.7)
  const session = new Session(wire.connection, { ...services, store: storeOf() })
  if (random() < 0.7) await session.login({ userId: 'anna@example.org' as UserId })
  const running = session.run()
  const octets = Buffer.from(sent, 'latin1')
  // A literal that is still open swallows that much.
  const rest = Buffer.concat([Buffer.alloc(2_000, 'x'), Buffer.from('\r\n"*"\r\nNOOP "still-here"\r\n')])
  for (let at = 0; at < octets.length; ) {
    const end = random() < 0.5 ? octets.length : at + 1 + Math.floor(random() * octets.length)
    const began = process.cpuUsage()
    wire.push(octets.subarray(at, end))
    await new Promise(setImmediate)
    const { user, system } = process.cpuUsage(began)
    if ((user + system) / 1_000 > maxTurnMs) return { reason: 'a turn took too long', said: wire.said }
    at = end
  }
  wire.push(rest)
  wire.push(undefined)
  await running
  const { said } = wire
  if (said.includes('internal error')) return { reason: 'a defect', said }
  // An announced literal may be larger than all that comes.
  if (said.includes('still-here') || /^BYE /m.test(said) || wire.isOver || isOpenLiteral(sent)) return undefined
  return { reason: 'no answer', said }
}

const isOpenLiteral = (sent: string): boolean =>
  [...sent.matchAll(/\{(\d+)\+?\}/g)].some(([, count]) => Number(count) > 1_000)

class Wire {
  said = ''
  isOver = false
  readonly connection: ClientConnection
  readonly #waiting: (Buffer | undefined)[] = []
  #wake: ((octets: Buffer | undefined) => void) | undefined

  constructor(canUpgrade: boolean) {
    const never = new AbortController().signal
    this.connection = {
      id: 'fuzz',
      remoteAddress: '192.0.2.1',
      localAddress: '192.0.2.2',
      isLocal: false,
      channel: undefined,
      canUpgrade,
      isCompressed: false,
      signal: never,
      stopping: never,
      read: () => this.#read(),
      write: (octets) => {
        this.said += typeof octets === 'string' ? octets : Buffer.from(octets).toString('latin1')
      },
      drain: async () => {},
      setIdleTimeout: () => {},
      authenticated: () => {},
      unauthenticated: () => {},
      upgrade: async () => {},
      compress: async () => {},
      uncompress: async () => {},
      close: async () => {
        this.isOver = true
      },
    }
  }

  push(octets: Buffer | undefined): void {
    const wake = this.#wake
    this.#wake = undefined
    if (wake === undefined) this.#waiting.push(octets)
    else wake(octets)
  }

  #read(): Promise<Buffer | undefined> {
    if (this.#waiting.length > 0) return Promise.resolve(this.#waiting.shift())
    return new Promise((resolve) => {
      this.#wake = resolve
    })
  }
}

const settings = settingsOf(configOf({}))
const login = async () => ({ userId: 'anna@example.org' as UserId })
const authenticator: Authenticator = {
  offer: () => ({ passwords: true, mechanisms: ['PLAIN'] }),
  login,
  async authenticate({ mechanism, initial, ask }) {
    if (mechanism !== 'PLAIN') throw new AuthError('no-mechanism', 'no')
    const response = initial ?? (await ask(Buffer.alloc(0)))
    if (response.length < 8) throw new AuthError('bad-credentials', 'no')
    return login()
  },
}
const services = {
  settings: () => settings,
  log: silentLog,
  clock: { ...systemClock, sleep: async () => {} },
  events: new MemoryBus(),
  authenticator,
}

/** One account that keeps its values in memory. */
function storeOf(): Store {
  const values = new Map<string, unknown>()
  const account: Pick<Account, 'ensure' | 'entries' | 'change'> = {
    ensure: async () => {},
    entries: async (prefix) => new Map([...values].filter(([key]) => key.startsWith(prefix))),
    change: async (plan) => {
      for (const [key, value] of Object.entries(plan(values)))
        if (value === undefined) values.delete(key)
        else values.set(key, value)
    },
  }
  return { account: () => account as Account } as unknown as Store
}
