/**
 * Sessions of lmtpd without sockets and store, and clients that send what matters in any pieces: messages made of dots, line ends and commands, chunks, refused
 * commands in between. What is handed over has to be exactly what a client meant, octet for octet and envelope for envelope; and then the same with octets that are
 * changed, where nothing but good replies, or an end, may come.
 */

import { systemClock } from '#src/base/clock.ts'
import { configOf } from '#src/config/config.ts'
import type { Deliverer, Recipient } from '#src/delivery/types.ts'
import { Refusal } from '#src/lmtpd/replies.ts'
import { type Services, Session } from '#src/lmtpd/session.ts'
import { settingsOf } from '#src/lmtpd/settings.ts'
import type { Account } from '#src/store/types.ts'
import { Wire } from '../../imapd/fuzz/wire.ts'
import { type LogRecord, logTo, MemoryBus } from '../../imapd/support.ts'
import { mulberry32 } from '../../support/random.ts'
import { stuffed } from '../transcript.ts'

export interface Found {
  readonly reason: string
  readonly sent: string
  readonly cuts: readonly number[]
  readonly said: string
}

interface Handed {
  readonly from: string
  readonly to: readonly string[]
  readonly octets: string
}

const patienceMs = 5_000

/** What messages are made of. */
const words = [
  '\r',
  '\n',
  '.',
  '\r\n',
  '\r\n.\r\n',
  '\n.\n',
  '\r\n.\n',
  '\n.\r\n',
  '\r.\r',
  '..',
  'x',
  '\0',
  '\xff',
  ' ',
  'x'.repeat(1_200),
  'MAIL FROM:<evil@example.org>\r\n',
  'RCPT TO:<anna@example.org>\r\n',
  'DATA\r\n',
  'BDAT 5 LAST\r\n',
  'RSET\r\n',
  'QUIT\r\n',
  '\r\n.\r\nMAIL FROM:<evil@example.org>\r\nRCPT TO:<anna@example.org>\r\nDATA\r\nevil\r\n.\r\n',
]
/** Commands that are refused, or change nothing, in any state. */
const harmless = [
  'NOOP',
  'NOOP x',
  'VRFY anna',
  'HELP',
  'EXPN x',
  'HELO x',
  'EHLO x',
  'LHLO',
  'RCPT TO:<>',
  'RCPT TO:anna',
  'RCPT TO:<nobody@example.org>',
  'RCPT TO:<anna@example.org> X=1',
  'RCPT TO:<"@example.org>',
  'MAIL FROM:<evil@example.org',
  'MAIL FROM:<evil@example.org> BODY=x',
  'MAIL TO:<evil@example.org>',
  'MAIL FROM:<evil@example.org> SIZE=99999999999',
  'RSET x',
  'QUIT x',
  'AUTH',
  'AUTH PLAIN',
  'AUTH X =',
  'XFORWARD ADDR=1',
  'STARTTLS x',
  'foo',
  '',
  ' ',
  '.',
  'DATA\0',
  '\xff\xfe',
  'RCPT TO:<anna@ex\xe4mple.org>',
]

export class LmtpFuzzer {
  readonly #random: () => number
  readonly #handed: Handed[] = []
  readonly #records: LogRecord[] = []
  readonly #services: Services
  sessions = 0
  octets = 0

  constructor(seed: number) {
    this.#random = mulberry32(seed)
    const settings = settingsOf(configOf({}))
    this.#services = {
      settings: () => settings,
      log: logTo(this.#records),
      clock: systemClock,
      events: new MemoryBus(),
      recipients: {
        defaultDomain: () => 'example.org',
        resolve: async ({ address, parameters, local }) => {
          if (local === 'nobody') throw new Refusal(550, '5.1.1', 'nobody')
          const account = { path: local } as Account
          return {
            address,
            parameters,
            detail: undefined,
            userId: undefined,
            account,
            mailbox: 'INBOX',
            adding: (_, work) => work(),
          } satisfies Recipient
        },
        reload: () => {},
      },
      deliverer: this.#deliverer(),
      authenticator: {
        offer: () => ({ passwords: true, mechanisms: [] }),
        login: () => Promise.reject(new Error('no logins')),
        authenticate: () => Promise.reject(new Refusal(535, '5.7.8', 'no')),
      },
    }
  }

  #deliverer(): Deliverer {
    return {
      begin: ({ sender, recipients }) => {
        const chunks: string[] = []
        return {
          write: (chunk) => void chunks.push(Buffer.from(chunk).toString('latin1')),
          end: async () => {
            this.#handed.push({ from: sender, to: recipients.map(({ address }) => address), octets: chunks.join('') })
            return recipients.map(() => ({ kind: 'discarded' }))
          },
          [Symbol.asyncDispose]: async () => {},
        }
      },
    }
  }

  /** One session; undefined: as it should be. */
  async next(): Promise<Found | undefined> {
    const meant = this.#script()
    const isMutant = this.#random() < 0.4
    const sent = isMutant ? this.#mutate(meant.sent) : meant.sent
    return await this.#run(sent, this.#cuts(sent), isMutant ? undefined : meant.handed)
  }

  /** A session, cut at each of its octets. */
  async *cutEverywhere(): AsyncGenerator<Found> {
    let script = this.#script(100)
    while (script.handed.length === 0 || script.sent.length > 500) script = this.#script(100)
    const { sent, handed } = script
    for (let at = 1; at < sent.length; at++) {
      const found = await this.#run(sent, [at], handed)
      if (found !== undefined) yield found
    }
  }

  async #run(
    sent: string,
    cuts: readonly number[],
    expected: readonly Handed[] | undefined,
  ): Promise<Found | undefined> {
    this.#handed.length = 0
    this.#records.length = 0
    this.sessions++
    this.octets += sent.length
    const wire = new Wire(`fuzz.${this.sessions}`)
    const over = new Session(wire, this.#services).run()
    let reason: string | undefined
    try {
      let from = 0
      for (const at of [...cuts, sent.length]) {
        if (at > from) await wire.send(sent.slice(from, at), patienceMs)
        from = at
      }
      reason = this.#fault(wire, expected)
    } catch (error) {
      reason = (error as Error).message
    }
    wire.hangUp()
    await over
    return reason === undefined ? undefined : { reason, sent, cuts, said: wire.said.slice(-2_000) }
  }

  #fault({ said }: Wire, expected: readonly Handed[] | undefined): string | undefined {
    const defect = this.#records.find(({ severity, message }) => severity === 'crit' || message.includes('defect'))
    if (defect !== undefined) return `${defect.message}: ${defect.fields.cause}`
    const strange = said
      .split('\r\n')
      .slice(0, -1)
      .find((line) => !/^[2345]\d\d[ -][ -~\x80-\xff]*$/.test(line) || line.length > 510)
    if (strange !== undefined || !said.endsWith('\r\n'))
      return `no reply: ${JSON.stringify(strange ?? said.slice(-100))}`
    if (expected === undefined) return undefined
    const [given, meant] = [this.#handed, expected].map((all) => JSON.stringify(all))
    return given === meant ? undefined : `handed over: ${given}\n  meant: ${meant}`
  }

  /** A whole session of a client that sends without waiting, and what it means. */
  #script(mostOctets = 6_000): { readonly sent: string; readonly handed: readonly Handed[] } {
    let sent = 'LHLO client.example\r\n'
    const handed: Handed[] = []
    const say = (line: string) => {
      sent += `${line}\r\n`
    }
    /** Fewer than end a session. */
    let faults = 0
    const disturb = () => {
      if (this.#random() < 0.2 && faults++ < 15) say(this.#pick(harmless))
    }
    while (sent.length < mostOctets && this.#random() < 0.8) {
      const from = this.#pick(['', 'sender@example.net', '"a b"@example.net'])
      const isChunked = this.#random() < 0.5
      say(`MAIL FROM:<${from}>${isChunked && this.#random() < 0.5 ? ' BODY=BINARYMIME' : ''}`)
      disturb()
      const to = [...new Set(Array.from({ length: 1 + this.#below(3) }, () => this.#pick(['anna', 'bob', 'carl'])))]
      for (const user of to) {
        say(`RCPT TO:<${user}@example.org>`)
        disturb()
      }
      const text = Array.from({ length: this.#below(12) }, () => this.#pick(words)).join('')
      const octets = isChunked ? text : /\r\n$|^$/.test(text) ? text : `${text}\r\n`
      if (this.#random() < 0.1) {
        // The client thinks better of it, in the middle of a message perhaps.
        if (isChunked) sent += `BDAT ${text.length}\r\n${text}`
        say('RSET')
        if (this.#random() < 0.5) sent += `BDAT ${text.length}${this.#random() < 0.5 ? ' LAST' : ''}\r\n${text}`
        continue
      }
      if (isChunked) {
        for (let at = 0; ; ) {
          const length = Math.min(this.#below(40), octets.length - at)
          const isLast = at + length === octets.length && this.#random() < 0.7
          sent += `BDAT ${length}${isLast ? ' LAST' : ''}\r\n${octets.slice(at, at + length)}`
          at += length
          if (isLast) break
          disturb()
        }
      } else sent += `DATA\r\n${stuffed(text)}`
      handed.push({ from, to: to.map((user) => `${user}@example.org`), octets })
    }
    return { sent, handed }
  }

  #mutate(text: string): string {
    let mutant = text
    for (let left = 1 + this.#below(4); left > 0; left--) {
      const at = this.#below(mutant.length + 1)
      const to = at + this.#below(20)
      const put = this.#pick([
        '',
        this.#pick(words),
        this.#pick(harmless),
        String.fromCharCode(this.#below(256)),
        mutant.slice(at, to).repeat(2),
      ])
      mutant = mutant.slice(0, at) + put + mutant.slice(this.#random() < 0.5 ? at : to)
    }
    return mutant
  }

  #cuts(text: string): readonly number[] {
    if (this.#random() < 0.1) return Array.from({ length: Math.min(text.length, 500) }, (_, index) => index + 1)
    return Array.from({ length: this.#below(6) }, () => this.#below(text.length)).sort((a, b) => a - b)
  }

  #below(limit: number): number {
    return Math.floor(this.#random() * limit)
  }

  #pick<T>(from: readonly T[]): T {
    return from[this.#below(from.length)]!
  }
}
