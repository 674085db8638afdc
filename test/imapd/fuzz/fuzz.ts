/**
 * Sessions in four states are given commands and what comes near them, cut anywhere, a NOOP behind each: whatever came, the NOOP is answered, or
 * the session said BYE, or it waits for a literal that was announced. Every tag in an answer is one that was sent, and nothing is a defect.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { offerOf } from '#src/auth/sasl/offer.ts'
import type { Authenticator } from '#src/auth/types.ts'
import { systemClock } from '#src/base/clock.ts'
import type { UserId } from '#src/base/ids.ts'
import { configOf } from '#src/config/config.ts'
import { MailNews } from '#src/imapd/mail-news.ts'
import { MetadataChanges } from '#src/imapd/metadata-changes.ts'
import { Session } from '#src/imapd/session.ts'
import { settingsOf } from '#src/imapd/settings.ts'
import { createQuotas } from '#src/server/quotas.ts'
import { openStore } from '#src/store/store.ts'
import { mulberry32 } from '#test/support/random.ts'
import { type LogRecord, logTo, MemoryBus } from '../support.ts'
import { mutated } from './mutate.ts'
import { seeds } from './seeds.ts'
import { Wire } from './wire.ts'

export const states = ['not authenticated', 'authenticated', 'selected', 'idling'] as const
type State = (typeof states)[number]

export interface Found {
  readonly state: State
  readonly sent: string
  readonly cuts: readonly number[]
  readonly reason: string
  readonly said: string
}

const user = 'fuzz@example.org' as UserId
const patienceMs = 20_000
/** Lines that end whatever a command left open: a line that was asked for, a quote, a short literal. */
const nudges = 5
const tooLong = 64 * 1024

export class Fuzzer implements AsyncDisposable {
  readonly #directory: string
  readonly #records: LogRecord[] = []
  readonly #random: () => number
  readonly #services: ConstructorParameters<typeof Session>[1]
  readonly #wires = new Map<State, Wire>()
  #count = 0
  commands = 0

  private constructor(directory: string, seed: number) {
    this.#directory = directory
    this.#random = mulberry32(seed)
    const config = configOf({
      login_disabled: false,
      userdir: join(directory, 'user'),
      shared_root_dir: join(directory, 'shared'),
    })
    const log = logTo(this.#records)
    const login = async () => ({ userId: user, byAdministrator: true })
    const authenticator: Authenticator = { offer: (channel) => offerOf(config, channel), login, authenticate: login }
    const settings = settingsOf(config)
    const events = new MemoryBus()
    this.#services = {
      settings: () => settings,
      log,
      clock: systemClock,
      events,
      mailNews: new MailNews(events, log),
      metadataChanges: new MetadataChanges(events),
      store: openStore({ root: join(directory, 'user'), clock: systemClock, log }),
      quotas: createQuotas({
        config: () => config,
        accounts: { find: async () => undefined, put: async () => {} },
        clock: systemClock,
      }),
      authenticator,
    }
  }

  static async open(seed: number): Promise<Fuzzer> {
    return new Fuzzer(await mkdtemp(join(tmpdir(), 'imapd-fuzz-')), seed)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const wire of this.#wires.values()) wire.hangUp()
    await this.#services.store.close()
    await rm(this.#directory, { recursive: true, force: true })
  }

  /** Every command as it is, in every state; then each cut at each of its octets. */
  async *grammar(): AsyncGenerator<Found> {
    for (const state of states) for (const seed of seeds) yield* this.#try(state, seed, [])
  }

  async *cut(seed: string): AsyncGenerator<Found> {
    for (let at = 1; at < seed.length + 2; at++) yield* this.#try('selected', seed, [at])
  }

  /** One command that nearly is one. */
  async *next(): AsyncGenerator<Found> {
    const state = this.#one(states)
    const sent = mutated(this.#one(seeds), this.#random).slice(0, tooLong)
    const cuts = this.#random() < 0.3 ? [Math.floor(this.#random() * sent.length)] : []
    yield* this.#try(state, sent, cuts)
  }

  #one<T>(values: readonly T[]): T {
    return values[Math.floor(this.#random() * values.length)]!
  }

  async *#try(state: State, text: string, cuts: readonly number[]): AsyncGenerator<Found> {
    const wire = await this.#enter(state)
    const tag = `t${++this.#count}`
    const answer = `n${this.#count}`
    wire.said = ''
    this.#records.length = 0
    const sent = `${state === 'idling' ? '' : `${tag} `}${text}\r\n`
    const all = `${sent}${answer} NOOP\r\n`
    this.commands++
    let reason: string | undefined
    try {
      let from = 0
      for (const at of [...cuts, all.length]) {
        await wire.send(all.slice(from, at), patienceMs)
        from = at
      }
      for (let left = nudges; left > 0 && !isDone(wire, answer); left--)
        await wire.send(`${answer} NOOP\r\n`, patienceMs)
      reason = this.#fault(wire, sent, tag, answer)
    } catch (error) {
      reason = (error as Error).message
    }
    if (reason !== undefined) yield { state, sent, cuts, reason, said: wire.said.slice(-2000) }
    // What a command did to the state of its session is not of the next one's.
    wire.hangUp()
    this.#wires.delete(state)
  }

  #fault(wire: Wire, sent: string, tag: string, answer: string): string | undefined {
    const defect = this.#records.find(({ severity, message }) => severity === 'crit' || message.includes('defect'))
    if (defect !== undefined) return `${defect.message}: ${defect.fields.cause ?? defect.fields.error}`
    if (wire.said.includes('SERVERBUG')) return 'SERVERBUG'
    const strange = responsesOf(wire.said).find((line) => !isResponse(line, tag, answer, sent))
    if (strange !== undefined) return `not a response: ${JSON.stringify(strange.slice(0, 200))}`
    if (isDone(wire, answer) || /\{\d+\+?\}\r?\n/.test(sent)) return undefined
    return 'the NOOP is not answered'
  }

  /** A session in this state, fresh. */
  async #enter(state: State): Promise<Wire> {
    const wire = new Wire(`fuzz.${this.#count}`)
    this.#wires.set(state, wire)
    const session = new Session(wire, this.#services)
    void session.run()
    if (state === 'not authenticated') return wire
    const message = 'From: Fuzz <a@b.c>\r\nSubject: fuzz\r\n\r\ntext\r\n'
    const setUp = ['LOGIN fuzz secret']
    if (this.#random() < 0.3) setUp.push('ENABLE IMAP4rev2 QRESYNC METADATA')
    if (state !== 'authenticated') setUp.push('CREATE fuzz', 'SELECT fuzz')
    for (const command of setUp) await wire.send(`s ${command}\r\n`, patienceMs)
    const exists = Number(/\* (\d+) EXISTS/.exec(wire.said)?.[1] ?? 3)
    if (exists < 3)
      await wire.send(`s APPEND fuzz {${message.length}+}\r\n${message}\r\n`.repeat(3 - exists), patienceMs)
    if (exists > 100) await wire.send('s STORE 1:90 +FLAGS.SILENT (\\Deleted)\r\ns EXPUNGE\r\n', patienceMs)
    if (state === 'idling') await wire.send('s IDLE\r\n', patienceMs)
    return wire
  }
}

const isDone = (wire: Wire, answer: string) =>
  wire.closed || /^\* BYE /m.test(wire.said) || new RegExp(`^${answer} (?:OK|NO|BAD) `, 'm').test(wire.said)

/** Lines with their literals in place. */
function responsesOf(said: string): readonly string[] {
  const lines: string[] = []
  for (let from = 0; from < said.length; ) {
    let end = from
    for (;;) {
      const crlf = said.indexOf('\r\n', end)
      if (crlf < 0) {
        lines.push(said.slice(from))
        return lines
      }
      const literal = /~?\{(\d+)\}$/.exec(said.slice(Math.max(from, crlf - 24), crlf))
      end = crlf + 2
      if (literal === null || /^\S+ (?:OK|NO|BAD|BYE) /.test(said.slice(from, from + 40))) break
      end += Number(literal[1])
    }
    lines.push(said.slice(from, end))
    from = end
  }
  return lines
}

/** A tagged answer is to a command of ours; a mutation may have made several of one. */
function isResponse(line: string, tag: string, answer: string, sent: string): boolean {
  if (!line.endsWith('\r\n') || /[\0]/.test(line)) return false
  if (line.startsWith('* ') || line.startsWith('+ ')) return true
  const [name] = line.split(' ', 1)
  return [tag, answer, 's'].includes(name!) || sent.includes(name!)
}
