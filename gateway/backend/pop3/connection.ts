/**
 * One TCP or TLS connection to a POP3 server with commands and replies in order.
 *
 * node-pop3 opens the connection; its parser is taken off before the first octet, because it needs a status line or a
 * terminator to come in one piece, keeps the dot-stuffing and has no deadlines (docs/decisions/0080-own-pop3-session.md).
 */
import type { Socket } from 'node:net'
import { type ConnectionOptions, type TLSSocket, connect as tlsConnect } from 'node:tls'
import Pop3 from 'node-pop3'
import type { Protection } from '../choose-login.ts'
import { Deadline } from '../deadline.ts'
import { BackendError } from '../errors.ts'
import { base64 } from '../sasl.ts'
import { connectionError, protectionOf, type TlsTrust, tlsOptionsOf, weaknessOf } from '../tls.ts'
import type { BodySink, Limits } from '../types.ts'
import { type Expectation, ResponseReader } from './response-reader.ts'

interface PackageConnection {
  _socket: Socket | TLSSocket | null
  connect(): Promise<void>
  on(event: 'error', listener: () => void): this
}

/** The package exports the class with its commands only; its parent holds the socket. */
const Connection = Object.getPrototypeOf(Pop3) as new (options: {
  host: string
  port: number
  tls: boolean
  tlsOptions: ConnectionOptions
}) => PackageConnection

export interface Address {
  readonly host: string
  readonly port: number
  /** TLS from the first octet. */
  readonly implicitTls: boolean
}

export interface Reply {
  readonly ok: boolean
  /** Behind +OK or -ERR, octets in latin1. */
  readonly text: string
}

/** A command that waits for its reply. */
export interface Command {
  /** Without CRLF; octets in latin1, or as they are. */
  readonly line: string | Buffer
  readonly multiline?: boolean
  readonly bodyLimit?: number
  /** Until the first octet of the reply, from when the command is the oldest. */
  readonly replyMs?: number
  /** Answers a challenge of AUTH, both without base64; undefined gives up. RFC 5034 §4 */
  readonly respond?: (challenge: Buffer) => Buffer | undefined | Promise<Buffer | undefined>
  /** The sink of the body where one follows. */
  status(reply: Reply): BodySink | undefined
  done(): void
  failed(error: BackendError): void
}

const crlf = Buffer.from('\r\n')
/** Read ahead of a sink that makes us wait; then the socket is paused, and TCP holds the server back. */
const aheadOctets = 1_048_576

export class PopConnection {
  readonly address: Address
  readonly #limits: Limits
  readonly #trust: TlsTrust
  readonly #package: PackageConnection
  #socket: Socket | TLSSocket
  #reader: ResponseReader
  /** Commands without a complete reply, oldest first; `#head` is the index of the oldest. */
  #pending: Command[] = []
  #head = 0
  #failure: BackendError | undefined
  #connected = false
  #protection: Protection = 'none'
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
    this.#package = new Connection({
      host: address.host,
      port: address.port,
      tls: address.implicitTls,
      tlsOptions: tlsOptionsOf(trust, address.host, verify),
    })
    this.#package.on('error', () => {})
    // Its promise settles by its own parser or never; what happens is learned from the socket.
    this.#package.connect().catch(() => {})
    this.#socket = this.#package._socket!
    this.#reader = this.#newReader()
    this.#attach()
    this.#signal = signal
    signal?.addEventListener('abort', this.#stop)
    if (signal?.aborted) this.close()
  }

  /** Connects and reads the greeting. `verify`: of implicit TLS, any certificate is taken when false. `signal` ends the connection at any time. */
  static async open(
    address: Address,
    limits: Limits,
    trust: TlsTrust = {},
    verify = true,
    signal?: AbortSignal,
  ): Promise<{
    connection: PopConnection
    greeting: Reply
  }> {
    const connection = new PopConnection(address, limits, trust, verify, signal)
    try {
      return { connection, greeting: await connection.#greeting() }
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

  #newReader(): ResponseReader {
    return new ResponseReader(
      {
        next: () => this.#expectation(),
        shift: () => this.#shift(),
        stalled: (waiting) => {
          this.#deadline.mark()
          if (!waiting) this.#socket.resume()
        },
        fault: (error) => this.#fail(error),
      },
      this.#limits.lineOctets,
    )
  }

  #attach(): void {
    const socket = this.#socket
    socket.removeAllListeners('data')
    socket.on('data', (chunk: Buffer) => {
      this.#deadline.arrived(chunk.length)
      this.#reader.push(chunk)
      if (this.#reader.stalled && this.#reader.waiting > aheadOctets) socket.pause()
    })
    socket.on('error', (error) => this.#fail(connectionError(error, this.#connected, this.#name)))
    socket.on('close', () => {
      this.#reader.end(() => this.#fail(new BackendError('closed', `${this.#name} closed the connection`)))
    })
    const ready = this.address.implicitTls && socket === this.#package._socket ? 'secureConnect' : 'connect'
    socket.once(ready, () => {
      if ('encrypted' in socket && !this.#judge(socket)) return
      this.#connected = true
      this.#deadline.mark()
    })
  }

  /** False: the certificate is not what it has to be, and the connection is over. */
  #judge(socket: TLSSocket): boolean {
    try {
      this.#protection = protectionOf(socket, this.#trust, this.#name)
      return true
    } catch (error) {
      this.#fail(error as BackendError)
      return false
    }
  }

  get #name(): string {
    return `${this.address.host}:${this.address.port}`
  }

  /** The greeting is the reply to a command that was never sent. */
  #greeting(): Promise<Reply> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure)
    return new Promise((resolve, reject) => {
      let reply: Reply
      this.#pending.push({
        line: '',
        status: (greeting) => {
          reply = greeting
          return undefined
        },
        done: () => resolve(reply),
        failed: reject,
      })
      this.#deadline.begin()
    })
  }

  /** Sends commands in one go; their replies come in this order. */
  send(commands: readonly Command[]): void {
    if (this.#failure !== undefined) {
      for (const command of commands) command.failed(this.#failure)
      return
    }
    const wasIdle = this.#head === this.#pending.length
    const octets: Buffer[] = []
    let text = ''
    for (const command of commands) {
      this.#pending.push(command)
      if (typeof command.line === 'string') text += `${command.line}\r\n`
      else {
        octets.push(Buffer.from(text, 'latin1'), command.line, crlf)
        text = ''
      }
    }
    if (octets.length === 0) this.#socket.write(text, 'latin1')
    else {
      // What carries a secret is sent as octets: the copy is overwritten once it is on its way.
      const all = Buffer.concat([...octets, Buffer.from(text, 'latin1')])
      this.#socket.write(all, () => all.fill(0))
    }
    if (wasIdle) this.#deadline.begin()
  }

  /** One command without a body. */
  ask(line: string | Buffer, respond?: Command['respond']): Promise<Reply> {
    return new Promise((resolve, reject) => {
      let reply: Reply
      this.send([
        {
          line,
          ...(respond === undefined ? {} : { respond }),
          status: (status) => {
            reply = status
            return undefined
          },
          done: () => resolve(reply),
          failed: reject,
        },
      ])
    })
  }

  /** One command whose positive reply has a body, held in memory. */
  collect(
    line: string,
    bodyLimit: number,
    replyMs?: number,
  ): Promise<{ readonly reply: Reply; readonly body: Buffer }> {
    return new Promise((resolve, reject) => {
      const chunks: Buffer[] = []
      let reply: Reply
      const sink: BodySink = { write: (chunk) => void chunks.push(chunk), end: () => {}, abort: () => {} }
      this.send([
        {
          line,
          multiline: true,
          bodyLimit,
          ...(replyMs === undefined ? {} : { replyMs }),
          status: (status) => {
            reply = status
            return sink
          },
          done: () => resolve({ reply, body: Buffer.concat(chunks) }),
          failed: reject,
        },
      ])
    })
  }

  /**
   * Runs the TLS handshake behind a positive reply to STLS. Octets that came with the reply, in clear, end the
   * connection: somebody put them there. RFC 2595 §4
   */
  upgrade(verify: boolean): Promise<Protection> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure)
    if (!this.#reader.idle) {
      const error = new BackendError('tls', `${this.#name} sent octets in clear behind its reply to STLS`)
      this.#fail(error)
      return Promise.reject(error)
    }
    const plain = this.#socket
    plain.removeAllListeners('data')
    plain.removeAllListeners('close')
    return new Promise((resolve, reject) => {
      const secure = tlsConnect({
        ...tlsOptionsOf(this.#trust, this.address.host, verify),
        socket: plain,
      })
      this.#socket = secure
      this.#reader = this.#newReader()
      this.#attach()
      this.#connected = false
      // The handshake is waited for like a reply, under the same deadline.
      this.#pending.push({
        line: '',
        status: () => undefined,
        done: () => {},
        failed: (error) => reject(handshake(error)),
      })
      this.#deadline.begin()
      secure.once('secureConnect', () => {
        if (!this.#judge(secure)) return
        this.#connected = true
        this.#shift()
        resolve(this.#protection)
      })
    })
  }

  /** Hands the connection on: nobody reads from it here any more. Throws BackendError where octets came that nobody asked for. */
  detach(): Socket | TLSSocket {
    if (this.#failure !== undefined) throw this.#failure
    if (!this.#reader.idle || this.#head < this.#pending.length)
      throw new BackendError('protocol', `${this.#name} sent more than it was asked for`)
    const socket = this.#socket
    socket.pause()
    for (const event of ['data', 'error', 'close'] as const) socket.removeAllListeners(event)
    this.#deadline.stop()
    this.#signal?.removeEventListener('abort', this.#stop)
    this.#failure = new BackendError('stopped', 'the connection was handed on')
    return socket
  }

  /** Ends the connection at once. */
  close(): void {
    this.#fail(new BackendError('stopped', `the connection to ${this.#name} was given up`))
  }

  #expectation(): Expectation | undefined {
    const command = this.#pending[this.#head]
    if (command === undefined || !this.#connected) return undefined
    return {
      multiline: command.multiline ?? false,
      bodyLimit: command.bodyLimit ?? this.#limits.listingOctets,
      status: (ok, text) => command.status({ ok, text }),
      ...(command.respond === undefined ? {} : { challenge: (text) => this.#answer(command, text) }),
      done: () => command.done(),
    }
  }

  #answer(command: Command, challenge: string): void {
    this.#deadline.begin()
    Promise.resolve(command.respond!(Buffer.from(challenge, 'base64'))).then(
      (answer) => {
        if (this.#failure !== undefined) return
        // RFC 5034 §4: "*" gives up.
        const octets = answer === undefined ? Buffer.from('*\r\n') : Buffer.concat([base64(answer), crlf])
        answer?.fill(0)
        this.#socket.write(octets, () => octets.fill(0))
      },
      (error: Error) => this.#fail(new BackendError('stopped', error.message, { cause: error })),
    )
  }

  #shift(): void {
    this.#head++
    if (this.#head === this.#pending.length || this.#head > 1_000) {
      this.#pending = this.#pending.slice(this.#head)
      this.#head = 0
    }
    if (this.#pending.length === 0) this.#deadline.stop()
    else this.#deadline.begin()
  }

  /** How long the oldest command may wait for the first octet of its reply; undefined while none is awaited. */
  #awaited(): number | undefined {
    const oldest = this.#pending[this.#head]
    return oldest === undefined || this.#reader.stalled ? undefined : (oldest.replyMs ?? this.#limits.replyMs)
  }

  #fail(error: BackendError): void {
    if (this.#failure !== undefined) return
    this.#failure = error
    this.#deadline.stop()
    this.#signal?.removeEventListener('abort', this.#stop)
    this.#reader.abort(error)
    this.#socket.destroy()
    const pending = this.#pending.slice(this.#head)
    this.#pending = []
    this.#head = 0
    for (const command of pending) command.failed(error)
  }
}

/** A handshake that fails is a matter of protection, whatever the socket called it. */
const handshake = (error: BackendError): BackendError =>
  error.kind === 'stopped' || error.kind === 'timeout'
    ? error
    : new BackendError('tls', error.message, { cause: error })
