/**
 * One client's connection over a socket. What a maintainer could break:
 * - Nothing is read ahead beyond the socket's own buffer (`readHighWaterOctets` plus one chunk of the kernel), so a client
 *   can't fill memory while its session is busy; and that little reading ahead is what notices a reset.
 * - Octets leave in batches, the next one when the system took the last: a batch taken is progress. A client is cut for
 *   making no progress, never for being slow. IMAP-13
 * - After STARTTLS nothing that came before it is looked at.
 */
import type { Socket } from 'node:net'
import type { InflateRaw } from 'node:zlib'
import type { Channel } from '../auth/sasl/mechanism.ts'
import { systemClock } from '../base/clock.ts'
import type { UserId } from '../base/ids.ts'
import type { Log } from '../base/log.ts'
import { channelOf } from './channel.ts'
import { Compression } from './deflate.ts'
import type { Secured } from './tls-acceptor.ts'
import { type ClientConnection, ConnectionLost, ConnectionTimeout } from './types.ts'

/** Of accepted sockets; what is read beyond what the session asked for. */
export const readHighWaterOctets = 16 * 1024
/** Handed to the system at once. */
const batchOctets = 64 * 1024

export interface ConnectionLimits {
  readonly loginWaitMs: number
  readonly writeStallMs: number
  readonly fullQueueStallMs: number
  readonly lingerMs: number
}

export interface ConnectionOptions {
  readonly id: string
  /** It came by a Unix socket. */
  readonly isLocal: boolean
  readonly log: Log
  readonly limits: ConnectionLimits
  readonly maxNetBufferOctets: number
  /** Takes the server's side of a TLS handshake; undefined while there is no certificate. */
  readonly startTls: ((socket: Socket) => Promise<Secured>) | undefined
  readonly onAuthenticated: () => void
}

interface Reader {
  resolve(octets: Buffer | undefined): void
  reject(reason: Error): void
  timer: NodeJS.Timeout | undefined
  readonly since: number
}

/** IPv4 addresses in their own notation also where the socket is an IPv6 one. */
const plainAddress = (address: string | undefined): string => address?.replace(/^::ffff:(?=\d+\.)/, '') ?? 'local'

/** The connection behind `ClientConnection`, with what the service itself does to it. */
export class SocketConnection implements ClientConnection {
  readonly id: string
  readonly remoteAddress: string
  readonly localAddress: string
  readonly #options: ConnectionOptions
  readonly #log: Log
  readonly #gone = new AbortController()
  readonly #stopping = new AbortController()
  #userHere: UserId | undefined
  readonly #queue: Buffer[] = []
  readonly #highWaterOctets: number
  #socket: Socket
  #compression: Compression | undefined
  #channel: Channel | undefined
  #upgrading = false
  #closed: Promise<void> | undefined
  #ended = false
  #reader: Reader | undefined
  #idleMs: number
  /** What is left of the time that a client has to log in; undefined once it has. */
  #loginWaitMs: number | undefined
  #queuedOctets = 0
  #inFlight = false
  #progressAt = 0
  #stallTimer: NodeJS.Timeout | undefined
  #drained: { readonly belowOctets: number; resolve(): void; reject(reason: Error): void }[] = []

  constructor(socket: Socket, options: ConnectionOptions) {
    this.id = options.id
    this.remoteAddress = plainAddress(socket.remoteAddress)
    this.localAddress = plainAddress(socket.localAddress)
    this.#options = options
    this.#log = options.log.child({ session: options.id, client: this.remoteAddress })
    this.#idleMs = options.limits.loginWaitMs
    this.#loginWaitMs = options.limits.loginWaitMs
    this.#highWaterOctets = Math.min(batchOctets, Math.ceil(options.maxNetBufferOctets / 2))
    this.#socket = socket
    this.#attach()
  }

  get isLocal(): boolean {
    return this.#options.isLocal
  }

  get channel(): Channel | undefined {
    return this.#channel
  }

  get canUpgrade(): boolean {
    return this.#options.startTls !== undefined && this.#channel === undefined
  }

  get isCompressed(): boolean {
    return this.#compression !== undefined
  }

  get signal(): AbortSignal {
    return this.#gone.signal
  }

  get stopping(): AbortSignal {
    return this.#stopping.signal
  }

  /** The client has logged in. */
  get isAuthenticated(): boolean {
    return this.#loginWaitMs === undefined
  }

  /** Whose mail here the client works on. */
  get userHere(): UserId | undefined {
    return this.#userHere
  }

  /** Asks the session to end. */
  stop(reason: string): void {
    this.#stopping.abort(new Error(reason))
  }

  /** Ends the connection at once. */
  destroy(reason: string): void {
    if (!this.#socket.destroyed) this.#log.log('info', 'connection cut', { reason })
    this.#socket.destroy()
  }

  setIdleTimeout(ms: number): void {
    this.#idleMs = ms
    const reader = this.#reader
    if (!reader) return
    clearTimeout(reader.timer)
    reader.timer = this.#readTimer(reader.since)
  }

  authenticated(here?: UserId): void {
    this.#userHere = here
    if (this.#loginWaitMs === undefined) return
    this.#loginWaitMs = undefined
    this.#options.onAuthenticated()
  }

  unauthenticated(): void {
    this.#userHere = undefined
    this.#loginWaitMs = this.#options.limits.loginWaitMs
    this.setIdleTimeout(this.#loginWaitMs)
  }

  read(): Promise<Buffer | undefined> {
    if (this.#reader || this.#upgrading) throw new Error('one read or upgrade at a time')
    const octets = this.#socket.destroyed ? null : (this.#source.read() as Buffer | null)
    if (octets !== null) return Promise.resolve(octets)
    if (this.#ended || this.#closed || this.#socket.destroyed) return Promise.resolve(undefined)
    const { promise, resolve, reject } = Promise.withResolvers<Buffer | undefined>()
    const since = systemClock.monotonic()
    this.#reader = { resolve, reject, since, timer: this.#readTimer(since) }
    return promise
  }

  write(octets: Uint8Array | string): void {
    if (this.#socket.destroyed || this.#closed || octets.length === 0) return
    const buffer =
      typeof octets === 'string'
        ? Buffer.from(octets, 'latin1')
        : Buffer.from(octets.buffer, octets.byteOffset, octets.byteLength)
    if (this.#queuedOctets === 0) {
      this.#progressAt = systemClock.monotonic()
      // Whatever is written in the same turn of the loop goes out together.
      process.nextTick(() => this.#pump())
    }
    this.#queue.push(buffer)
    this.#queuedOctets += buffer.length
  }

  drain(): Promise<void> {
    return this.#belowMark(this.#highWaterOctets)
  }

  async upgrade(): Promise<void> {
    const { startTls } = this.#options
    if (startTls === undefined || this.#channel !== undefined) throw new Error('TLS is not available or active already')
    if (this.#socket.readableLength > 0) {
      this.destroy('octets came behind STARTTLS before TLS was there')
      throw new ConnectionLost('octets came behind STARTTLS')
    }
    if (this.#reader) throw new Error('upgrade while reading')
    this.#upgrading = true
    const plain = this.#socket
    this.#leaveSource()
    try {
      await this.#belowMark(1)
      plain.off('close', this.#onClose)
      const secured = await startTls(plain)
      this.#socket = secured.socket
      this.#channel = channelOf(secured)
    } catch (error) {
      plain.destroy()
      this.#onClose()
      throw new ConnectionLost(`TLS: ${(error as Error).message}`, { cause: error })
    } finally {
      this.#upgrading = false
    }
    this.#attach()
  }

  async compress(): Promise<void> {
    if (this.#reader || this.#compression) throw new Error('compression while reading or twice')
    await this.#belowMark(1)
    this.#leaveSource()
    this.#compression = new Compression(this.#socket)
    this.#compression.inflated.on('error', ({ message }) =>
      this.destroy(`what the client sends is not compressed properly: ${message}`),
    )
    this.#readSource()
  }

  async uncompress(): Promise<void> {
    if (this.#compression === undefined) return
    if (this.#reader) throw new Error('the end of compression while reading')
    await this.#belowMark(1)
    const { readableLength, writableLength } = this.#compression.inflated
    if (readableLength + writableLength > 0) {
      this.destroy('octets came behind the end of compression before its answer')
      throw new ConnectionLost('octets came behind the end of compression')
    }
    this.#endCompression()
    this.#readSource()
  }

  close(): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  async #close(): Promise<void> {
    this.#settleRead(undefined)
    if (this.#upgrading) this.#socket.destroy()
    if (this.#socket.destroyed) return
    try {
      await this.#belowMark(1)
    } catch {
      return
    }
    const socket = this.#socket
    const linger = setTimeout(() => socket.destroy(), this.#options.limits.lingerMs)
    const { promise, resolve } = Promise.withResolvers<void>()
    socket.once('close', () => {
      clearTimeout(linger)
      resolve()
    })
    // Unread input would make the system answer with a reset, which can take the last words with it.
    this.#endCompression()
    socket.on('end', this.#onEnd).resume()
    socket.end()
    await promise
  }

  #attach(): void {
    this.#socket.on('error', this.#onError).on('close', this.#onClose)
    this.#readSource()
  }

  /** Where the session's octets come from. */
  get #source(): Socket | InflateRaw {
    return this.#compression?.inflated ?? this.#socket
  }

  #readSource(): void {
    this.#source.on('readable', this.#onReadable).on('end', this.#onEnd)
  }

  #leaveSource(): void {
    this.#source.off('readable', this.#onReadable).off('end', this.#onEnd)
  }

  #endCompression(): void {
    this.#leaveSource()
    this.#compression?.end()
    this.#compression = undefined
  }

  readonly #onReadable = (): void => {
    if (!this.#reader) return
    const octets = this.#source.read() as Buffer | null
    if (octets !== null) this.#settleRead(octets)
  }

  readonly #onEnd = (): void => {
    this.#ended = true
    this.#settleRead(undefined)
    if (this.#closed) this.#socket.destroySoon()
  }

  readonly #onError = (error: Error): void => {
    this.#log.log('debug', 'connection failed', { reason: error.message })
  }

  readonly #onClose = (): void => {
    clearTimeout(this.#stallTimer)
    this.#endCompression()
    this.#queue.length = 0
    this.#queuedOctets = 0
    this.#gone.abort(new ConnectionLost('the connection is closed'))
    this.#settleRead(undefined)
    const waiting = this.#drained
    this.#drained = []
    for (const { reject } of waiting) reject(new ConnectionLost('the client is gone'))
  }

  #settleRead(octets: Buffer | undefined): void {
    const reader = this.#takeReader()
    reader?.resolve(octets)
  }

  #takeReader(): Reader | undefined {
    const reader = this.#reader
    if (!reader) return undefined
    this.#reader = undefined
    clearTimeout(reader.timer)
    if (this.#loginWaitMs !== undefined) this.#loginWaitMs -= systemClock.monotonic() - reader.since
    return reader
  }

  /** Before the login the waits of all reads count together, so that an octet now and then buys no time. H1 */
  #readTimer(since: number): NodeJS.Timeout {
    const limitMs = Math.min(this.#idleMs, this.#loginWaitMs ?? Number.POSITIVE_INFINITY)
    const leftMs = Math.min(Math.max(0, limitMs - (systemClock.monotonic() - since)), 2 ** 31 - 1)
    const timer = setTimeout(() => {
      const reason =
        this.#loginWaitMs !== undefined && this.#loginWaitMs < this.#idleMs ? 'no login' : 'nothing received'
      this.#takeReader()?.reject(new ConnectionTimeout(`${reason} for ${Math.round(limitMs / 1000)} s`))
    }, leftMs)
    return timer
  }

  #belowMark(belowOctets: number): Promise<void> {
    if (this.#gone.signal.aborted || this.#socket.destroyed)
      return Promise.reject(new ConnectionLost('the client is gone'))
    if (this.#queuedOctets < belowOctets) return Promise.resolve()
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    this.#drained.push({ belowOctets, resolve, reject })
    return promise
  }

  #pump(): void {
    if (this.#inFlight || this.#queue.length === 0 || this.#socket.destroyed) return
    const batch = this.#takeBatch()
    this.#inFlight = true
    this.#stallTimer ??= this.#watchProgress(this.#options.limits.fullQueueStallMs)
    const sent = (error?: Error | null) => {
      this.#inFlight = false
      if (error) return
      this.#progressAt = systemClock.monotonic()
      this.#queuedOctets -= batch.length
      if (this.#drained.length > 0) {
        const waiting = this.#drained
        this.#drained = waiting.filter(({ belowOctets }) => this.#queuedOctets >= belowOctets)
        for (const waiter of waiting) if (this.#queuedOctets < waiter.belowOctets) waiter.resolve()
      }
      this.#pump()
    }
    if (this.#compression === undefined) this.#socket.write(batch, sent)
    else this.#compression.write(batch, sent)
  }

  #takeBatch(): Buffer {
    let octets = 0
    let count = 0
    while (count < this.#queue.length && octets + this.#queue[count]!.length <= batchOctets)
      octets += this.#queue[count++]!.length
    if (count === 0) {
      const first = this.#queue[0]!
      this.#queue[0] = first.subarray(batchOctets)
      return first.subarray(0, batchOctets)
    }
    const taken = this.#queue.splice(0, count)
    return taken.length === 1 ? taken[0]! : Buffer.concat(taken, octets)
  }

  #watchProgress(ms: number): NodeJS.Timeout {
    const { fullQueueStallMs, writeStallMs } = this.#options.limits
    return setTimeout(() => {
      this.#stallTimer = undefined
      if (this.#queuedOctets === 0) return
      const full = this.#queuedOctets >= this.#options.maxNetBufferOctets
      const limitMs = full ? fullQueueStallMs : Math.min(writeStallMs, this.#loginWaitMs ?? writeStallMs)
      const stalledMs = systemClock.monotonic() - this.#progressAt
      if (stalledMs >= limitMs) {
        this.destroy(`the client has not read for ${Math.round(stalledMs / 1000)} s, ${this.#queuedOctets} octets wait`)
        return
      }
      this.#stallTimer = this.#watchProgress(Math.min(limitMs - stalledMs, fullQueueStallMs))
    }, ms).unref()
  }
}
