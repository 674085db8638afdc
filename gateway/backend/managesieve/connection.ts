/** One TCP connection to a ManageSieve server, with TLS from STARTTLS on: one command at a time, and its answer. RFC 5804 */
import { type Socket, connect as tcpConnect } from 'node:net'
import { type TLSSocket, connect as tlsConnect } from 'node:tls'
import { SyntaxFault } from '#src/base/errors.ts'
import { type Completion, completionOf } from '#src/proto/managesieve/answer.ts'
import { LineReader, OutOfStep, TooLarge } from '#src/proto/managesieve/line-reader.ts'
import type { Token } from '#src/proto/managesieve/token.ts'
import type { Protection } from '../choose-login.ts'
import { Deadline } from '../deadline.ts'
import { BackendError } from '../errors.ts'
import { printable } from '../reply-classifier.ts'
import { base64 } from '../sasl.ts'
import { connectionError, protectionOf, type TlsTrust, tlsOptionsOf, weaknessOf } from '../tls.ts'
import type { Limits } from '../types.ts'

export interface Answer extends Completion {
  /** Before its end. */
  readonly lines: readonly (readonly Token[])[]
  /** A literal was larger than `maxScriptOctets`: its line is not among `lines`. */
  readonly isTooLarge: boolean
}

export type Respond = (challenge: Buffer) => Buffer | undefined | Promise<Buffer | undefined>

interface Waiting {
  readonly lines: (readonly Token[])[]
  isTooLarge: boolean
  readonly respond: Respond | undefined
  readonly done: (answer: Answer) => void
  readonly failed: (error: BackendError) => void
}

/** Larger scripts are not kept here, whoever brings them. */
export const maxScriptOctets = 1_048_576
const maxLines = 2_000
/** That nobody asked for. */
const maxAheadOctets = 65_536
const maxQuotedOctets = 1_024

export interface SievePlace {
  readonly host: string
  readonly port: number
}

export class SieveConnection {
  readonly #place: SievePlace
  readonly #trust: TlsTrust
  readonly #deadline: Deadline
  readonly #signal: AbortSignal | undefined
  readonly #stop = () => this.close()
  #socket: Socket | TLSSocket
  #lines = newReader()
  #waiting: Waiting | undefined
  #failure: BackendError | undefined
  #isConnected = false
  #protection: Protection = 'none'

  private constructor(place: SievePlace, limits: Limits, trust: TlsTrust, signal: AbortSignal | undefined) {
    this.#place = place
    this.#trust = trust
    this.#signal = signal
    this.#deadline = new Deadline(
      limits,
      () => ({ connected: this.#isConnected, replyMs: this.#waiting === undefined ? undefined : limits.replyMs }),
      (what, allowedMs) => {
        const kind = this.#isConnected ? 'timeout' : 'connect'
        this.#fail(new BackendError(kind, `${this.#name} ${what} (${allowedMs} ms)`))
      },
    )
    this.#socket = tcpConnect({ ...place, noDelay: true })
    this.#attach()
    signal?.addEventListener('abort', this.#stop)
    if (signal?.aborted) this.close()
  }

  /** Connects and reads the greeting, which tells capabilities. Throws BackendError. */
  static async open(
    place: SievePlace,
    limits: Limits,
    trust: TlsTrust,
    signal: AbortSignal | undefined,
  ): Promise<{ readonly connection: SieveConnection; readonly greeting: Answer }> {
    const connection = new SieveConnection(place, limits, trust, signal)
    try {
      return { connection, greeting: await connection.#answer() }
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

  /** `ImapConnection.weakness` */
  get weakness(): string | undefined {
    return 'getProtocol' in this.#socket ? weaknessOf(this.#socket) : undefined
  }

  /** `command`: without its line end; overwritten once it is on its way. Rejects with BackendError when the connection is lost, or ended by the server. */
  run(command: Buffer, respond?: Respond): Promise<Answer> {
    if (this.#failure === undefined && this.#lines.pending > 0)
      this.#fail(new BackendError('protocol', `${this.#name} sent something that nobody asked for`))
    const answer = this.#answer(respond)
    if (this.#failure === undefined) this.#send(command)
    return answer
  }

  /** The handshake behind an OK to STARTTLS; answers the capabilities that the server tells then, unasked. RFC 5804 §2.2 */
  upgrade(verify: boolean): Promise<Answer> {
    if (this.#failure === undefined && this.#lines.pending > 0)
      this.#fail(new BackendError('tls', `${this.#name} sent octets in clear behind its reply to STARTTLS`))
    if (this.#failure !== undefined) return Promise.reject(this.#failure)
    const plain = this.#socket
    plain.removeAllListeners('data')
    plain.removeAllListeners('close')
    this.#isConnected = false
    this.#lines = newReader()
    this.#socket = tlsConnect({ ...tlsOptionsOf(this.#trust, this.#place.host, verify), socket: plain })
    this.#attach()
    return this.#answer()
  }

  /** Ends the connection at once. */
  close(): void {
    this.#fail(new BackendError('stopped', `the connection to ${this.#name} was given up`))
  }

  get #name(): string {
    return `${this.#place.host}:${this.#place.port}`
  }

  #answer(respond?: Respond): Promise<Answer> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure)
    return new Promise((done, failed) => {
      this.#waiting = { lines: [], isTooLarge: false, respond, done, failed }
      this.#deadline.begin()
    })
  }

  #send(octets: Buffer): void {
    const line = Buffer.concat([octets, Buffer.from('\r\n')])
    octets.fill(0)
    this.#socket.write(line, () => line.fill(0))
  }

  #attach(): void {
    const socket = this.#socket
    const isSecure = 'encrypted' in socket
    socket.on('data', (chunk: Buffer) => {
      this.#deadline.arrived(chunk.length)
      this.#lines.push(chunk)
      this.#read()
    })
    socket.on('error', (error) => {
      const what = connectionError(error, this.#isConnected, this.#name)
      // A handshake that fails is a matter of protection, whatever the socket called it.
      this.#fail(isSecure && !this.#isConnected ? new BackendError('tls', what.message, { cause: error }) : what)
    })
    socket.on('close', () => {
      const kind = isSecure && !this.#isConnected ? 'tls' : 'closed'
      this.#fail(new BackendError(kind, `${this.#name} closed the connection`))
    })
    socket.once(isSecure ? 'secureConnect' : 'connect', () => {
      try {
        if (isSecure) this.#protection = protectionOf(socket, this.#trust, this.#name)
      } catch (error) {
        this.#fail(error as BackendError)
        return
      }
      this.#isConnected = true
      this.#deadline.mark()
    })
  }

  #read(): void {
    for (;;) {
      const waiting = this.#waiting
      if (waiting === undefined) {
        if (this.#lines.pending > maxAheadOctets)
          this.#fail(new BackendError('protocol', `${this.#name} sends what nobody asked for`))
        return
      }
      try {
        const tokens = this.#lines.next()
        if (tokens === undefined) return
        this.#line(tokens, waiting)
      } catch (error) {
        if (!(error instanceof SyntaxFault)) throw error
        if (error instanceof TooLarge && !(error instanceof OutOfStep)) {
          waiting.isTooLarge = true
          continue
        }
        this.#fail(
          new BackendError('protocol', `${this.#name} sent something that is no ManageSieve: ${error.message}`),
        )
        return
      }
    }
  }

  #line(tokens: readonly Token[], waiting: Waiting): void {
    const completion = completionOf(tokens)
    const [first] = tokens
    if (completion?.status === 'BYE') {
      const serverText = printable(completion.text)
      this.#fail(new BackendError('temporary', `${this.#name} ended the session`, { serverText }))
    } else if (completion !== undefined) {
      this.#waiting = undefined
      this.#deadline.stop()
      waiting.done({ ...completion, lines: waiting.lines, isTooLarge: waiting.isTooLarge })
    } else if (waiting.respond !== undefined && tokens.length === 1 && first?.type === 'string')
      void this.#respond(waiting.respond, Buffer.from(first.octets.toString('latin1'), 'base64'))
    else if (first?.type !== 'string')
      this.#fail(new BackendError('protocol', `${this.#name} sent something that is no ManageSieve answer`))
    else if (waiting.lines.length === maxLines)
      this.#fail(new BackendError('limit', `${this.#name} answers with more than ${maxLines} lines`))
    else waiting.lines.push(tokens)
  }

  /** RFC 5804 §2.1: "*" gives up. */
  async #respond(respond: Respond, challenge: Buffer): Promise<void> {
    let answer: Buffer | undefined
    try {
      answer = await respond(challenge)
    } catch {
      answer = undefined
    }
    if (this.#failure !== undefined) return
    this.#send(answer === undefined ? Buffer.from('"*"') : saslString(answer))
    answer?.fill(0)
  }

  #fail(error: BackendError): void {
    if (this.#failure !== undefined) return
    this.#failure = error
    this.#deadline.stop()
    this.#signal?.removeEventListener('abort', this.#stop)
    this.#socket.destroy()
    const waiting = this.#waiting
    this.#waiting = undefined
    waiting?.failed(error)
  }
}

/** A response of SASL as a string, never one of JavaScript: it may be a secret. RFC 5804 §4 limits what is quoted. */
export const saslString = (response: Buffer): Buffer => {
  const text = base64(response)
  const [before, after] = text.length > maxQuotedOctets ? [`{${text.length}+}\r\n`, ''] : ['"', '"']
  const whole = Buffer.concat([Buffer.from(before), text, Buffer.from(after)])
  text.fill(0)
  return whole
}

const newReader = () =>
  new LineReader({ literalOctets: maxScriptOctets, forgottenOctets: 64 * maxScriptOctets }, 'server')
