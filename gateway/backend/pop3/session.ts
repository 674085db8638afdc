/** An open maildrop on a `PopConnection`: the commands of the TRANSACTION state. RFC 1939 §5, §7 */
import { systemClock } from '#src/base/clock.ts'
import { BackendError } from '../errors.ts'
import type { BackendProfile } from '../profile.ts'
import { classifyRefusal } from '../reply-classifier.ts'
import type { BodySink, Capabilities, Limits, Listed, PopClient } from '../types.ts'
import type { PopConnection, Reply } from './connection.ts'
import { type ListingSink, listInto, parseStat, uidlInto } from './listing.ts'
import { framed, measured } from './message-sinks.ts'

/**
 * Messages asked for ahead of the one that arrives. At 2 KB this is 1 MB in flight: enough for 40 ms of round trip
 * at 12,000 messages/s, while the commands themselves (7 KB) fit any server's input buffer.
 */
const windowSize = 512

const topOctets = 65_536
/** No message has so many, and every server reads it as a number. */
const allLines = 99_999_999

/** The error that a refusal in the TRANSACTION state stands for. */
const refusal = (command: string, reply: Reply): BackendError => {
  const { kind, text, retryAfterMs } = classifyRefusal(reply.text, 'transaction')
  return new BackendError(kind, `the backend refused ${command}`, {
    serverText: text,
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  })
}

export class PopSession implements PopClient {
  readonly capabilities: Capabilities
  readonly protection: PopClient['protection']
  readonly count: number
  readonly octets: number
  differing = 0
  readonly #connection: PopConnection
  readonly #profile: BackendProfile
  readonly #limits: Limits
  readonly #window: number

  private constructor(
    connection: PopConnection,
    capabilities: Capabilities,
    protection: PopClient['protection'],
    { count, octets }: ReturnType<typeof parseStat>,
    profile: BackendProfile,
    limits: Limits,
  ) {
    this.#connection = connection
    this.capabilities = capabilities
    this.protection = protection
    this.count = count
    this.octets = octets
    this.#profile = profile
    this.#limits = limits
    const { pipeliningFails, gluesTerminator } = profile.learned
    this.#window = capabilities.has('PIPELINING') && !pipeliningFails && !gluesTerminator ? windowSize : 1
  }

  /** After a positive reply to PASS: proves by STAT that there is a maildrop behind the login. */
  static async prove(
    connection: PopConnection,
    capabilities: Capabilities,
    protection: PopClient['protection'],
    profile: BackendProfile,
    limits: Limits,
  ): Promise<PopSession> {
    const reply = await connection.ask('STAT')
    if (!reply.ok) throw refusal('STAT', reply)
    return new PopSession(connection, capabilities, protection, parseStat(reply.text), profile, limits)
  }

  async uidl(): Promise<{ listed: readonly Listed[]; complete: boolean } | undefined> {
    const listed: Listed[] = []
    const reply = await this.#list('UIDL', uidlInto(listed))
    if (!reply.ok) {
      const error = refusal('UIDL', reply)
      if (error.retryable) throw error
      if (error.kind === 'unsupported' && !this.capabilities.has('UIDL')) return undefined
      // A server that can not list now is no server without UIDL: its mail would all seem new.
      throw new BackendError('temporary', 'the backend refused UIDL', { serverText: error.serverText ?? '' })
    }
    // Mail may arrive between STAT and UIDL, so more is no contradiction; fewer is.
    return { listed, complete: listed.length >= this.count }
  }

  async list(): Promise<ReadonlyMap<number, number>> {
    const sizes = new Map<number, number>()
    const reply = await this.#list('LIST', listInto(sizes))
    if (!reply.ok) throw refusal('LIST', reply)
    return sizes
  }

  #list(line: string, sink: ListingSink): Promise<Reply> {
    const { promise, resolve, reject } = Promise.withResolvers<Reply>()
    let reply: Reply
    this.#connection.send([
      {
        line,
        multiline: true,
        bodyLimit: this.#limits.listingOctets,
        status: (status) => {
          reply = status
          return sink
        },
        done: () => resolve(reply),
        failed: reject,
      },
    ])
    return promise
  }

  top(
    numbers: readonly number[],
    lines: number,
    each: (number: number, octets: Buffer) => void,
    refused: (number: number, error: BackendError) => void,
  ): Promise<void> {
    return this.#many(
      numbers,
      (number) => `TOP ${number} ${lines}`,
      (number) => {
        const chunks: Buffer[] = []
        let octets = 0
        return {
          // A server may answer with the whole message, however large.
          write: (chunk) => {
            if (octets < topOctets) chunks.push(chunk.subarray(0, topOctets - octets))
            octets += chunk.length
          },
          end: () => each(number, Buffer.concat(chunks)),
          abort: () => {},
        }
      },
      refused,
    )
  }

  retrieve(
    numbers: readonly number[],
    open: (number: number) => BodySink,
    refused: (number: number, error: BackendError) => void,
    by: 'RETR' | 'TOP' = 'RETR',
  ): Promise<void> {
    if (by === 'TOP') return this.#many(numbers, (number) => `TOP ${number} ${allLines}`, open, refused)
    const differs = () => {
      this.differing++
    }
    const weigh = (number: number, reply: string) => measured(open(number), reply, differs)
    return this.#many(numbers, (number) => `RETR ${number}`, weigh, refused)
  }

  #many(
    numbers: readonly number[],
    line: (number: number) => string,
    open: (number: number, reply: string) => BodySink,
    refused: (number: number, error: BackendError) => void,
  ): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    let asked = 0
    let through = 0
    const askMore = () => {
      // Refilled by halves: many commands travel in one segment.
      if (asked - through > this.#window / 2) return
      const next = numbers.slice(asked, through + this.#window)
      asked += next.length
      if (next.length > 0) this.#connection.send(next.map(command))
    }
    const command = (number: number) => ({
      line: line(number),
      multiline: true,
      bodyLimit: this.#limits.messageOctets,
      status: (reply: Reply) => {
        if (reply.ok) {
          const sink = open(number, reply.text)
          return this.#window > 1 ? framed(sink, () => this.#glues()) : sink
        }
        refused(number, refusal(line(number), reply))
        return undefined
      },
      done: () => {
        through++
        if (through === numbers.length) {
          if (this.#window > 1) this.#profile.deliveredInFlight()
          else if (this.capabilities.has('PIPELINING')) this.#profile.deliveredOneByOne()
          resolve()
        } else askMore()
      },
      failed: (error: BackendError) => {
        if (this.#window > 1 && asked - through > 1 && error.kind !== 'stopped') this.#lost()
        reject(error)
      },
    })
    if (numbers.length === 0) resolve()
    else askMore()
    return promise
  }

  #glues(): void {
    this.#profile.learned.gluesTerminator = true
  }

  #lostOnce = false

  #lost(): void {
    if (this.#lostOnce) return
    this.#lostOnce = true
    this.#profile.lostInFlight()
  }

  async remove(numbers: readonly number[]): Promise<ReadonlyMap<number, BackendError>> {
    const refused = new Map<number, BackendError>()
    const ask = async (number: number) => {
      const reply = await this.#connection.ask(`DELE ${number}`)
      return reply.ok ? undefined : refusal('DELE', reply)
    }
    if (this.#profile.learned.deleteNeedsRetrieve === true) await this.#discard(numbers)
    for (let at = 0; at < numbers.length; at += this.#window) {
      const part = numbers.slice(at, at + this.#window)
      const answers = await Promise.all(part.map(ask))
      for (const [index, error] of answers.entries()) if (error !== undefined) refused.set(part[index]!, error)
    }
    const [trial, ...others] = [...refused].flatMap(([number, error]) => (error.kind === 'permanent' ? [number] : []))
    if (trial === undefined || !this.#profile.mayTryRetrieveToDelete(systemClock.monotonic())) return refused
    // Some servers delete only what they have sent in the same session. Others delete nothing: one message tells.
    const again = async (number: number) => {
      const error = await ask(number)
      if (error === undefined) refused.delete(number)
      return error === undefined
    }
    await this.#discard([trial])
    const helped = await again(trial)
    this.#profile.triedRetrieveToDelete(helped, systemClock.monotonic())
    if (!helped) return refused
    await this.#discard(others)
    for (const number of others) await again(number)
    return refused
  }

  #discard(numbers: readonly number[]): Promise<void> {
    const nowhere: BodySink = { write: () => {}, end: () => {}, abort: () => {} }
    return this.retrieve(
      numbers,
      () => nowhere,
      () => {},
    )
  }

  async quit(): Promise<void> {
    const reply = await this.#connection.ask('QUIT')
    this.#connection.close()
    if (!reply.ok) throw refusal('QUIT', reply)
  }

  close(): void {
    this.#connection.close()
  }
}
