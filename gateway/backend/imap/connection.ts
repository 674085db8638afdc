/**
 * One TCP or TLS connection to an IMAP server: tagged commands, answered in any order, and everything untagged between. Used to log in, and by
 * the bulk reader; for everything else the connection is handed on (`detach`).
 */
import { once } from 'node:events'
import { type Socket, connect as tcpConnect } from 'node:net'
import { type TLSSocket, connect as tlsConnect } from 'node:tls'
import type { Protection } from '../choose-login.ts'
import { Deadline } from '../deadline.ts'
import { BackendError } from '../errors.ts'
import type { Address } from '../pop3/connection.ts'
import { printable } from '../reply-classifier.ts'
import { base64 } from '../sasl.ts'
import { connectionError, protectionOf, type TlsTrust, tlsOptionsOf, weaknessOf } from '../tls.ts'
import type { BodySink, Limits } from '../types.ts'
import { type Part, ResponseReader } from './response-reader.ts'

/** The tagged end of a command, or a greeting. RFC 9051 §7.1 */
export interface Status {
  readonly condition: 'OK' | 'NO' | 'BAD' | 'PREAUTH'
  /** `AUTHENTICATIONFAILED`, upper case, without what follows it in the brackets. */
  readonly code: string | undefined
  /** What follows the code in the brackets. */
  readonly codeText: string
  /** Behind the brackets, octets in latin1. */
  readonly text: string
}

/** A literal that is sent as it is read, once the server has asked for it: the last word of a command. */
export interface StreamedLiteral {
  readonly sizeOctets: number
  /** Exactly so many octets. */
  readonly chunks: AsyncIterable<Buffer>
  /** It has NULs: literal8, RFC 3516. */
  readonly isBinary: boolean
}

/** Text, octets that go as a literal, or octets that go as they are: a secret that is no string. */
export type Word = string | Buffer | { readonly inline: Buffer } | StreamedLiteral

export interface Command {
  /** Without tag and line end. */
  readonly words: readonly Word[]
  /** Answers a challenge (AUTHENTICATE), both without base64; undefined gives up. RFC 9051 §6.2.2 */
  readonly respond?: (challenge: Buffer) => Buffer | undefined | Promise<Buffer | undefined>
  /** Of IDLE: when it is to end. Until then the server owes no answer. RFC 2177 */
  readonly until?: Promise<void>
  /** Untagged responses, without their `* `, while this is the oldest command. */
  readonly untagged?: (parts: readonly Part[]) => void
  /** Where a literal of an untagged response goes; undefined: collected with it. */
  readonly literal?: (before: readonly Part[], octets: number) => BodySink | undefined
  /** Nothing may come in clear behind a positive reply. RFC 9051 §6.2.1 */
  readonly lastInClear?: boolean
  /** Until the first octet of an answer. */
  readonly replyMs?: number
}

interface Pending extends Command {
  readonly tag: string
  /** Words not sent yet: the first is a literal that waits for `+`. */
  left: Word[]
  /** Until the streamed literal has been written. */
  streaming?: Promise<void> | undefined
  /** The server said `+` to IDLE, and was not told that it is over. */
  isIdle?: boolean
  readonly done: (status: Status) => void
  readonly failed: (error: BackendError) => void
}

/** Read ahead of a sink that makes us wait; then the socket is paused, and TCP holds the server back. */
const aheadOctets = 1_048_576
/** Of one response without streamed literals: an ENVELOPE, a LIST line, a SEARCH result of a million messages. */
const responseOctets = 16 * 1_048_576

export class ImapConnection {
  readonly address: Address
  readonly #limits: Limits
  readonly #trust: TlsTrust
  #socket: Socket | TLSSocket
  #reader: ResponseReader
  #pending: Pending[] = []
  #failure: BackendError | undefined
  #connected = false
  #protection: Protection = 'none'
  /** The handshake is the next that may come. */
  #sealed = false
  #tags = 0
  #greeting: { readonly done: (status: Status) => void; readonly failed: (error: BackendError) => void } | undefined
  /** A `* BYE` was read: the reason, if the connection ends now. */
  #bye: string | undefined
  #handshake: ((error: BackendError) => void) | undefined
  /** The server takes literals without being asked first. RFC 7888 */
  literalPlus = false
  /** Commands that `isSlowed` is true of: Google ends its OK with [THROTTLED]. */
  slowed = 0
  readonly #deadline: Deadline
  readonly #signal: AbortSignal | undefined
  readonly #stop = () => this.close()

  private constructor(
    address: Address,
    limits: Limits,
    trust: TlsTrust,
    verify: boolean,
    signal: AbortSignal | undefined,
  ) {
    this.address = address
    this.#limits = limits
    this.#trust = trust
    this.#deadline = new Deadline(
      limits,
      () => ({ connected: this.#connected, replyMs: this.#awaited() }),
      (what, allowedMs) => this.#fail(new BackendError('timeout', `${this.#name} ${what} (${allowedMs} ms)`)),
    )
    const { host, port } = address
    this.#socket = address.implicitTls
      ? tlsConnect({ ...tlsOptionsOf(trust, host, verify), port })
      : tcpConnect({ host, port, noDelay: true })
    this.#reader = this.#newReader()
    this.#attach()
    this.#signal = signal
    signal?.addEventListener('abort', this.#stop)
    if (signal?.aborted) this.close()
  }

  /** Connects and reads the greeting. `verify`: of implicit TLS, any certificate is taken when false. `signal` ends the connection at any time. Throws BackendError; a BYE greeting is one of kind `temporary`. */
  static async open(
    address: Address,
    limits: Limits,
    trust: TlsTrust = {},
    verify = true,
    signal?: AbortSignal,
  ): Promise<{ connection: ImapConnection; greeting: Status }> {
    const connection = new ImapConnection(address, limits, trust, verify, signal)
    try {
      return { connection, greeting: await connection.#awaitGreeting() }
    } catch (error) {
      connection.close()
      throw error
    }
  }

  get failure(): BackendError | undefined {
    return this.#failure
  }

  get protection(): Protection {
    return this.#protection
  }

  /** Why this connection is protected only because old TLS is taken from this backend; undefined: it is not. */
  get weakness(): string | undefined {
    return 'getProtocol' in this.#socket ? weaknessOf(this.#socket) : undefined
  }

  /** Sends a command behind those under way. Rejects with BackendError when the connection is lost. */
  run(command: Command): Promise<Status> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure)
    this.#tags += 1
    const tag = `w${this.#tags}`
    return new Promise((resolve, reject) => {
      const pending: Pending = { ...command, tag, left: [`${tag} `, ...command.words], done: resolve, failed: reject }
      this.#pending.push(pending)
      if (this.#pending.length === 1) this.#deadline.begin()
      this.#send(pending)
    })
  }

  /**
   * Runs the TLS handshake behind an OK to STARTTLS. Octets that came with the OK, in clear, end the connection: somebody put them
   * there. RFC 9051 §6.2.1
   */
  upgrade(verify: boolean): Promise<Protection> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure)
    if (!this.#reader.idle) {
      const error = this.#injected()
      this.#fail(error)
      return Promise.reject(error)
    }
    const plain = this.#socket
    plain.removeAllListeners('data')
    plain.removeAllListeners('close')
    return new Promise((resolve, reject) => {
      const secure = tlsConnect({ ...tlsOptionsOf(this.#trust, this.address.host, verify), socket: plain })
      this.#socket = secure
      this.#sealed = false
      this.#reader = this.#newReader()
      this.#connected = false
      // A handshake that fails is a matter of protection, whatever the socket called it.
      this.#handshake = (error) =>
        reject(
          error.kind === 'stopped' || error.kind === 'timeout'
            ? error
            : new BackendError('tls', error.message, { cause: error }),
        )
      this.#attach()
      this.#deadline.begin()
      secure.once('secureConnect', () => {
        if (this.#failure !== undefined) return
        this.#handshake = undefined
        this.#deadline.stop()
        resolve(this.#protection)
      })
    })
  }

  /** Hands the connection on: nobody reads from it here any more. What was read too far is put back. */
  detach(): Socket | TLSSocket {
    if (this.#failure !== undefined) throw this.#failure
    if (this.#pending.length > 0) throw new Error('a command is under way')
    const socket = this.#socket
    socket.pause()
    for (const event of ['data', 'error', 'close'] as const) socket.removeAllListeners(event)
    const rest = this.#reader.rest()
    if (rest.length > 0) socket.unshift(rest)
    this.#deadline.stop()
    this.#signal?.removeEventListener('abort', this.#stop)
    this.#failure = new BackendError('stopped', 'the connection was handed on')
    return socket
  }

  /** Ends the connection at once. */
  close(): void {
    this.#fail(new BackendError('stopped', `the connection to ${this.#name} was given up`))
  }

  #injected(): BackendError {
    return new BackendError('tls', `${this.#name} sent octets in clear behind its reply to STARTTLS`)
  }

  get #name(): string {
    return `${this.address.host}:${this.address.port}`
  }

  #newReader(): ResponseReader {
    return new ResponseReader(
      {
        literal: (before, octets) => {
          const first = before[0]
          const untagged = typeof first === 'string' && first.startsWith('* ')
          return untagged ? this.#pending[0]?.literal?.([first.slice(2), ...before.slice(1)], octets) : undefined
        },
        response: (parts) => this.#response(parts),
        stalled: (waiting) => {
          this.#deadline.mark()
          if (!waiting) this.#socket.resume()
        },
        fault: (error) => this.#fail(error),
      },
      { responseOctets, literalOctets: this.#limits.messageOctets },
    )
  }

  #attach(): void {
    const socket = this.#socket
    socket.on('data', (chunk: Buffer) => {
      this.#deadline.arrived(chunk.length)
      this.#reader.push(chunk)
      if (this.#reader.stalled && this.#reader.waiting > aheadOctets) socket.pause()
    })
    socket.on('error', (error) => this.#fail(connectionError(error, this.#connected, this.#name)))
    socket.on('close', () => {
      this.#reader.end(() =>
        this.#fail(
          new BackendError('closed', `${this.#name} closed the connection`, {
            ...(this.#bye === undefined ? {} : { serverText: printable(this.#bye) }),
          }),
        ),
      )
    })
    socket.once('encrypted' in socket ? 'secureConnect' : 'connect', () => {
      try {
        if ('encrypted' in socket) this.#protection = protectionOf(socket, this.#trust, this.#name)
      } catch (error) {
        this.#fail(error as BackendError)
        return
      }
      this.#connected = true
      this.#deadline.mark()
    })
  }

  #awaitGreeting(): Promise<Status> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure)
    return new Promise((done, failed) => {
      this.#greeting = { done, failed }
      this.#deadline.begin()
    })
  }

  #awaited(): number | undefined {
    if (this.#reader.stalled) return undefined
    if (this.#greeting !== undefined || this.#handshake !== undefined) return this.#limits.replyMs
    const [oldest] = this.#pending
    return oldest === undefined || oldest.isIdle ? undefined : (oldest.replyMs ?? this.#limits.replyMs)
  }

  /** Sends words up to a literal that the server has to ask for. RFC 9051 §4.3 */
  #send(command: Pending): void {
    const pieces: Buffer[] = []
    for (let word = command.left.shift(); word !== undefined; word = command.left.shift()) {
      if (typeof word === 'object' && isStreamed(word)) {
        command.streaming = this.#stream(word).then(() => {
          command.streaming = undefined
        })
        return
      }
      pieces.push(typeof word === 'string' ? Buffer.from(word, 'latin1') : 'inline' in word ? word.inline : word)
      const next = command.left[0]
      if (next === undefined) pieces.push(Buffer.from('\r\n'))
      else if (typeof next === 'object' && isStreamed(next)) {
        // It may be refused before its octets are on their way, and is asked for even where that is not needed.
        pieces.push(Buffer.from(`${next.isBinary ? '~' : ''}{${next.sizeOctets}}\r\n`))
        break
      } else if (Buffer.isBuffer(next)) {
        pieces.push(Buffer.from(`{${next.length}${this.literalPlus ? '+' : ''}}\r\n`))
        if (!this.literalPlus) break
      }
    }
    // Secrets go as octets: the copy is overwritten once it is on its way.
    const all = Buffer.concat(pieces)
    this.#socket.write(all, () => all.fill(0))
  }

  /** What was announced has to come: otherwise the connection can't be used any more. */
  async #stream({ sizeOctets, chunks }: StreamedLiteral): Promise<void> {
    let sent = 0
    try {
      for await (const chunk of chunks) {
        sent += chunk.length
        if (sent > sizeOctets || this.#failure !== undefined) break
        const socket = this.#socket
        if (!socket.write(chunk)) await Promise.race([once(socket, 'drain'), once(socket, 'close')])
        this.#deadline.mark()
      }
      if (sent !== sizeOctets) throw new Error(`a literal of ${sizeOctets} octets has others`)
      this.#socket.write('\r\n')
    } catch (error) {
      this.#fail(new BackendError('stopped', 'a message could not be read to its end', { cause: error }))
    }
  }

  #response(parts: readonly Part[]): void {
    if (this.#sealed) {
      this.#fail(this.#injected())
      return
    }
    const line = typeof parts[0] === 'string' ? parts[0] : ''
    if (line.startsWith('* ')) this.#untagged(line.slice(2), parts)
    else if (line === '+' || line.startsWith('+ ')) this.#continue(line.slice(2))
    else this.#tagged(line)
  }

  #untagged(line: string, parts: readonly Part[]): void {
    if (/^BYE(?: |$)/i.test(line)) this.#bye = line.slice(4)
    const greeting = this.#greeting
    if (greeting !== undefined) {
      this.#greeting = undefined
      this.#deadline.stop()
      const status = parseStatus(line)
      if (status?.condition === 'OK' || status?.condition === 'PREAUTH') {
        greeting.done(status)
        return
      }
      const refusal =
        this.#bye === undefined
          ? new BackendError('protocol', 'the backend sent something that is no IMAP greeting', {
              serverText: printable(line),
            })
          : new BackendError('temporary', 'the backend refused the connection', { serverText: printable(this.#bye) })
      greeting.failed(refusal)
      return
    }
    this.#pending[0]?.untagged?.([line, ...parts.slice(1)])
  }

  #continue(text: string): void {
    const waiting = this.#pending.find(
      ({ left, respond, until }) => left.length > 0 || respond !== undefined || until !== undefined,
    )
    if (waiting === undefined) return
    if (waiting.left.length > 0) this.#send(waiting)
    else if (waiting.until !== undefined) this.#idle(waiting, waiting.until)
    else
      void Promise.resolve(waiting.respond!(Buffer.from(text, 'base64')))
        .catch(() => undefined)
        .then((answer) => {
          // RFC 9051 §6.2.2: "*" gives up.
          const octets = Buffer.concat([answer === undefined ? Buffer.from('*') : base64(answer), Buffer.from('\r\n')])
          answer?.fill(0)
          this.#socket.write(octets, () => octets.fill(0))
        })
  }

  #idle(command: Pending, until: Promise<void>): void {
    command.isIdle = true
    void until.then(() => {
      command.isIdle = false
      if (this.#failure !== undefined) return
      this.#deadline.begin()
      this.#socket.write('DONE\r\n')
    })
  }

  #tagged(line: string): void {
    const space = line.indexOf(' ')
    const index = this.#pending.findIndex(({ tag }) => tag === line.slice(0, space))
    const status = index < 0 ? undefined : parseStatus(line.slice(space + 1))
    if (status === undefined || status.condition === 'PREAUTH') {
      this.#fail(
        new BackendError('protocol', 'the backend sent something that is no IMAP response', {
          serverText: printable(line),
        }),
      )
      return
    }
    const streaming = this.#pending[index]!.streaming
    if (streaming !== undefined) {
      // A server may answer before it has read everything: nothing else may be written in between.
      void streaming.then(() => {
        if (this.#failure === undefined) this.#tagged(line)
      })
      return
    }
    const [command] = this.#pending.splice(index, 1)
    if (this.#pending.length === 0) this.#deadline.stop()
    else if (index === 0) this.#deadline.begin()
    this.#sealed = command!.lastInClear === true && status.condition === 'OK'
    if (isSlowed(status)) this.slowed += 1
    command!.done(status)
  }

  #fail(error: BackendError): void {
    if (this.#failure !== undefined) return
    this.#failure = error
    this.#deadline.stop()
    this.#signal?.removeEventListener('abort', this.#stop)
    this.#reader.abort(error)
    this.#socket.destroy()
    const pending = this.#pending
    this.#pending = []
    this.#greeting?.failed(error)
    this.#greeting = undefined
    this.#handshake?.(error)
    this.#handshake = undefined
    for (const command of pending) command.failed(error)
  }
}

/** Done, but slower, because too much is asked of the server. */
export const isSlowed = ({ condition, code, text }: Status): boolean =>
  condition === 'OK' && (code === 'THROTTLED' || /\[THROTTLED\]/i.test(text))
const isStreamed = (word: Exclude<Word, string>): word is StreamedLiteral => 'chunks' in word

/** `OK [CODE more] text`; undefined for anything else. RFC 9051 §7.1 */
export function parseStatus(line: string): Status | undefined {
  const match = /^(OK|NO|BAD|PREAUTH)(?: (?:\[([^ \]]+)(?: ([^\]]*))?\] ?)?(.*))?$/is.exec(line)
  if (match === null) return undefined
  const [, condition, code, codeText = '', text = ''] = match
  return { condition: condition!.toUpperCase() as Status['condition'], code: code?.toUpperCase(), codeText, text }
}
