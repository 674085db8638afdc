/**
 * Client of mseventd. Connects in the background and again whenever the connection breaks, and then puts back what its
 * owner asked for: subscriptions, announcements, served services. Nothing here throws or waits because mseventd is away,
 * except `ask` and `presences`, which can't do without it. The messages are described in docs/mpp.md.
 *
 * A process does not hear its own publications: hub and client send an event to other connections only.
 */
import type { Socket } from 'node:net'
import { hostname } from 'node:os'
import type { Clock } from '../base/clock.ts'
import { RemoteError } from '../base/errors.ts'
import type { Log } from '../base/log.ts'
import { MppDecoder } from '../proto/mpp/decoder.ts'
import type { MppMessage } from '../proto/mpp/message.ts'
import { describeAddress, type EventAddress, type EventTls, isProtected, openSocket } from './address.ts'
import { Asker } from './ask.ts'
import { Responder } from './respond.ts'
import { Subscriptions } from './subscriptions.ts'
import type { Announcement, AskOptions, EventBus, Json, MailEvent, Presence } from './types.ts'
import * as wire from './wire.ts'

export interface EventClientOptions {
  readonly address: EventAddress
  /** Looked at for each connection: it may be exchanged for newer material, but not come or go. */
  readonly tls?: EventTls | undefined
  readonly clock: Clock
  readonly log: Log
  /** The daemon or command: 'imapd', 'msstat'. */
  readonly name: string
  /** Host shown with this process's presences; the machine's name when absent. */
  readonly host?: string
}

/** Pauses between attempts to connect; the last one repeats. */
const RETRY_MS = [50, 100, 250, 500, 1000, 2000, 5000] as const
const CONNECT_TIMEOUT_MS = 10_000
/** The connection is given up when nothing, not even the answer to a ping, arrived for one to two of these. */
const PING_INTERVAL_MS = 30_000
/** Publications are dropped while mseventd leaves more than this unread. */
const MAX_UNSENT_OCTETS = 4 << 20
const MAX_VALUE_CHARS = 1000
const LIST_TIMEOUT_MS = 10_000
const CLOSE_TIMEOUT_MS = 1000

/** Answers at once; the connection comes up in the background. */
export const connectEvents = (options: EventClientOptions): EventBus => new EventClient(options)

class EventClient implements EventBus {
  readonly #options: EventClientOptions
  readonly #where: string
  readonly #closing = new AbortController()
  readonly #subscriptions = new Subscriptions((verb, topics) => this.#sendTopics(verb, topics))
  readonly #announced = new Map<number, { presence: Presence; readonly since: number; sent: boolean }>()
  readonly #responder: Responder
  readonly #asker: Asker
  readonly #running: Promise<void>
  /** Set once hello is sent; everything sent later follows it. */
  #socket: Socket | undefined
  #connected = false
  #nextId = 1
  /** Odd: the hub's own requests on this connection have even numbers. EVT-10 */
  #msgno = 1

  constructor(options: EventClientOptions) {
    this.#options = options
    this.#where = `mseventd at ${describeAddress(options.address)}`
    const connection = {
      where: this.#where,
      isProtected: isProtected(options.address, options.tls),
      nextMsgno: () => this.#nextMsgno(),
      send: (octets: Buffer) => this.#send(octets),
    }
    this.#asker = new Asker(connection, options.clock, this.#closing.signal)
    this.#responder = new Responder(connection, options.log)
    this.#running = this.#run()
  }

  get connected(): boolean {
    return this.#connected
  }

  publish(event: MailEvent): void {
    if (!this.#connected || this.#socket!.writableLength > MAX_UNSENT_OCTETS) return
    const fields: Record<string, string | number> = {}
    for (const [key, value] of Object.entries(event.fields))
      fields[key] = typeof value === 'string' ? value.slice(0, MAX_VALUE_CHARS) : value
    fields.time_stamp ??= (this.#options.clock.now() / 1000).toFixed(6)
    this.#send(wire.encodeHub('publish', 0, { topic: event.topic, name: event.name, fields }))
  }

  subscribe(topics: readonly string[], onEvent: (event: MailEvent) => void, onGap?: () => void): () => void {
    return this.#subscriptions.add(topics, onEvent, onGap)
  }

  announce(presence: Presence): Announcement {
    const id = this.#nextId++
    const entry = { presence, since: this.#options.clock.now(), sent: false }
    this.#announced.set(id, entry)
    if (this.#socket) this.#sendAnnouncement(id)
    return {
      update: (changes) => {
        if (!this.#announced.has(id)) return
        entry.presence = { ...entry.presence, ...changes } as Presence
        this.#send(wire.encodeHub('update', 0, { id, changes: clip(changes) }))
      },
      withdraw: () => {
        if (this.#announced.delete(id)) this.#send(wire.encodeHub('withdraw', 0, { id }))
      },
    }
  }

  presences(user?: string | null): Promise<readonly wire.ListedPresence[]> {
    return this.#asker.list(user, LIST_TIMEOUT_MS)
  }

  ask(service: string, request: Json, options: AskOptions): Promise<Json> {
    return this.#asker.ask(service, request, options)
  }

  serve(service: string, handler: (request: Json, signal: AbortSignal) => Promise<Json>): () => void {
    return this.#responder.serve(service, handler)
  }

  async close(): Promise<void> {
    this.#closing.abort(new RemoteError('the connection to mseventd was closed', { retryable: false }))
    const socket = this.#socket
    // What is queued (withdrawals, the last events) still goes out, unless mseventd does not take it.
    socket?.end()
    const cut = setTimeout(() => socket?.destroy(), CLOSE_TIMEOUT_MS)
    await this.#running
    clearTimeout(cut)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #nextMsgno(): number {
    const msgno = this.#msgno
    this.#msgno = msgno >= 2147483645 ? 1 : msgno + 2
    return msgno
  }

  /** What is sent in one turn of the event loop leaves by one call of the system: a login alone tells of itself three times. */
  #send(octets: Buffer): void {
    const socket = this.#socket
    if (socket === undefined) return
    if (socket.writableCorked === 0) {
      socket.cork()
      setImmediate(() => socket.uncork())
    }
    socket.write(octets)
  }

  async #run(): Promise<void> {
    const { clock, log } = this.#options
    const { signal } = this.#closing
    let failures = 0
    while (!signal.aborted) {
      let reason: string
      try {
        const socket = await openSocket(
          this.#options.address,
          this.#options.tls,
          AbortSignal.any([signal, AbortSignal.timeout(CONNECT_TIMEOUT_MS)]),
        )
        reason = await this.#session(socket, () => {
          failures = 0
          log.log('info', `connected to ${this.#where}`)
        })
      } catch (error) {
        reason = (error as Error).message
      }
      if (signal.aborted) return
      // One line per outage: retries are silent.
      if (failures === 0)
        log.log('warning', `${this.#where} is not reachable, mail flows without events meanwhile`, { reason })
      this.#asker.unreachable(reason)
      const pause = RETRY_MS[Math.min(failures++, RETRY_MS.length - 1)]!
      await clock.sleep(pause * (0.75 + Math.random() / 2), signal).catch(() => {})
    }
  }

  /** Runs a connection to its end; answers why it ended. */
  async #session(socket: Socket, onWelcome: () => void): Promise<string> {
    const decoder = new MppDecoder(wire.MAX_PAYLOAD_OCTETS)
    const ended = new AbortController()
    let reason = 'mseventd closed the connection'
    let heard = true
    socket.on('error', (error) => {
      reason = error.message
    })
    socket.on('data', (chunk: Buffer) => {
      heard = true
      try {
        decoder.push(chunk)
        for (let message = decoder.next(); message; message = decoder.next()) this.#receive(message, onWelcome)
      } catch (error) {
        reason = (error as Error).message
        socket.destroy()
      }
    })
    const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()))
    this.#socket = socket
    this.#restore()
    const watch = async () => {
      while (heard) {
        heard = false
        this.#send(wire.encodeHub('ping', 0))
        await this.#options.clock.sleep(PING_INTERVAL_MS, ended.signal)
      }
      reason = `nothing heard for ${PING_INTERVAL_MS / 1000} s`
      socket.destroy()
    }
    watch().catch(() => {})
    await closed
    ended.abort()
    this.#socket = undefined
    this.#connected = false
    this.#responder.disconnected()
    this.#asker.disconnected()
    return reason
  }

  /** Says on a new connection what the hub has to know; `connected` becomes true with the hub's welcome. */
  #restore(): void {
    const { name, host = hostname() } = this.#options
    const hello: wire.Hello = { version: wire.PROTOCOL_VERSION, name, host, pid: process.pid }
    this.#send(wire.encodeHub('hello', this.#nextMsgno(), hello))
    for (const id of this.#announced.keys()) this.#sendAnnouncement(id)
    this.#responder.restore()
    this.#subscriptions.restore()
  }

  #sendAnnouncement(id: number): void {
    const entry = this.#announced.get(id)!
    const { presence, since, sent: again } = entry
    this.#send(wire.encodeHub('announce', 0, { id, presence: clip(presence), since, again }))
    entry.sent = true
  }

  /** The number under which the hub says `done` when the subscription is in force. */
  #sendTopics(verb: 'subscribe' | 'unsubscribe', topics: readonly string[]): number | undefined {
    if (!this.#socket) return undefined
    const msgno = this.#nextMsgno()
    this.#send(wire.encodeHub(verb, msgno, { topics }))
    return msgno
  }

  #receive(message: MppMessage, onWelcome: () => void): void {
    const { type, msgno, payload } = message
    const [service, verb] = wire.splitType(type)
    if (service !== 'event') {
      if (verb === 'ask' || verb === 'secret') this.#responder.request(service, msgno, payload)
      else this.#asker.answer(verb, msgno, payload)
      return
    }
    // Verbs of a later version are none of our business.
    if (verb === 'welcome') {
      this.#connected = true
      onWelcome()
      this.#asker.connected()
    } else if (verb === 'event') this.#subscriptions.dispatch(wire.decodeEvent(payload), this.#options.log)
    else if (verb === 'done') this.#subscriptions.done(msgno, this.#options.log)
    else if (verb === 'presences') this.#asker.answer(verb, msgno, payload)
    else if (verb === 'cancel') this.#responder.cancel(msgno)
    else if (verb === 'error') throw new Error(`mseventd says: ${wire.decodeErrorText(payload)}`)
  }
}

/** Texts that the hub takes; null where a value is taken back, which JSON would leave out. */
const clip = (presence: { readonly [K in keyof Presence]?: Presence[K] | undefined }): Record<string, string | null> =>
  Object.fromEntries(
    Object.entries(presence).map(([key, value]) => [key, value === undefined ? null : value.slice(0, MAX_VALUE_CHARS)]),
  )
