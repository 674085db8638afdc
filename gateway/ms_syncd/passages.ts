/**
 * Sessions at old servers that clients of imapd and pop3d speak to: logged in here, and handed to the daemon that asked over a Unix socket, to whoever
 * brings the ticket. Octets pass both ways as they are, no faster than they are taken. docs/decisions/0275-sessions-passed-through.md
 */
import { randomBytes } from 'node:crypto'
import type { Socket } from 'node:net'
import type { Passage } from '#src/auth/types.ts'
import type { Clock } from '#src/base/clock.ts'
import type { UserId } from '#src/base/ids.ts'
import type { Log } from '#src/base/log.ts'
import { listen, type OpenListener } from '#src/server/listener.ts'

/** For the daemon to come with its ticket. */
const ticketMs = 30_000
const ticketOctets = 32
/** Base64url, and LF. */
const ticketLineOctets = 44
/** How often it is looked whether the users are still elsewhere. */
const lookMs = 5_000
/** A session of a user who is here now ends when everything was answered and nothing has passed for so long, or at last. */
const quietMs = 1_000
const longestFarewellMs = 60_000
const lookAgainMs = 250
/** A peer that is gone without a word is noticed. */
const keepAliveMs = 60_000

interface Offered {
  readonly userId: UserId
  readonly old: Socket
  readonly expiry: NodeJS.Timeout
}

interface Carried extends Pick<Offered, 'userId' | 'old'> {
  readonly client: Socket
  passedAtMs: number
  /** What passed last came from the old server: nothing that it was asked for is under way. */
  isAnswered: boolean
  leavingSinceMs: number | undefined
}

export interface PassagesOptions {
  /** Of the Unix socket, which is made with the first passage. */
  readonly path: string
  readonly clock: Clock
  readonly log: Log
}

export class Passages {
  readonly #options: PassagesOptions
  readonly #offered = new Map<string, Offered>()
  readonly #carried = new Set<Carried>()
  readonly #arriving = new Set<Socket>()
  readonly #closing = new AbortController()
  #listener: Promise<OpenListener> | undefined
  #watch: Promise<void> | undefined
  #isElsewhere: (userId: UserId) => Promise<boolean> = async () => true

  constructor(options: PassagesOptions) {
    this.#options = options
  }

  /** Whether a user's sessions still belong to the old server is asked now and then; whoever came here is asked to log in again. */
  watch(isElsewhere: (userId: UserId) => Promise<boolean>): void {
    this.#isElsewhere = isElsewhere
  }

  /** Holds `old`, a session that is logged in and that nobody reads from, until somebody comes with the ticket. Throws ListenError. */
  async offer(userId: UserId, old: Socket, capabilities: Iterable<string>): Promise<Passage> {
    old.on('error', () => {})
    try {
      this.#closing.signal.throwIfAborted()
      await this.#listening()
      this.#closing.signal.throwIfAborted()
    } catch (error) {
      old.destroy()
      throw error
    }
    const ticket = randomBytes(ticketOctets).toString('base64url')
    const expiry = setTimeout(() => this.#withdraw(ticket), ticketMs)
    this.#offered.set(ticket, { userId, old, expiry })
    this.#watch ??= this.#look()
    return { path: this.#options.path, ticket, capabilities: [...capabilities] }
  }

  get count(): number {
    return this.#carried.size
  }

  /** Whether sessions of the user are carried, or will be. */
  has(userId: UserId): boolean {
    return [...this.#offered.values(), ...this.#carried].some((session) => session.userId === userId)
  }

  /** Ends all sessions of the user, as one who is here now, and resolves when none is left; and when this stops. */
  async leave(userId: UserId): Promise<void> {
    const { signal } = this.#closing
    for (const [ticket, offered] of this.#offered) if (offered.userId === userId) this.#withdraw(ticket)
    while (!signal.aborted && this.has(userId)) {
      for (const carried of this.#carried) if (carried.userId === userId) this.#endWhenQuiet(carried)
      if (this.has(userId)) await this.#options.clock.sleep(lookAgainMs, signal).catch(() => {})
    }
  }

  #withdraw(ticket: string): void {
    const offered = this.#offered.get(ticket)
    this.#offered.delete(ticket)
    clearTimeout(offered?.expiry)
    offered?.old.destroy()
  }

  async stop(): Promise<void> {
    this.#closing.abort(new Error('ms_syncd is stopping'))
    for (const ticket of this.#offered.keys()) this.#withdraw(ticket)
    for (const socket of this.#arriving) socket.destroy()
    for (const carried of this.#carried) this.#end(carried)
    await this.#watch
    const listener = await this.#listener?.catch(() => undefined)
    listener?.close()
  }

  #listening(): Promise<OpenListener> {
    const { path, log } = this.#options
    const onSocket = (socket: Socket) => this.#arrived(socket)
    this.#listener ??= listen({
      service: 'ms_syncd',
      listener: { path },
      place: '',
      shared: false,
      exclusive: true,
      log,
      onSocket,
    }).catch((error: unknown) => {
      this.#listener = undefined
      throw error
    })
    return this.#listener
  }

  #arrived(client: Socket): void {
    client.on('error', () => client.destroy())
    this.#arriving.add(client)
    client.setTimeout(ticketMs, () => client.destroy())
    client.once('close', () => this.#arriving.delete(client))
    let line = Buffer.alloc(0)
    const onData = (chunk: Buffer) => {
      line = Buffer.concat([line, chunk])
      const end = line.indexOf(0x0a)
      if (end < 0 && line.length < ticketLineOctets) return
      client.pause()
      client.off('data', onData)
      client.setTimeout(0)
      this.#arriving.delete(client)
      const ticket = line.subarray(0, Math.max(0, end)).toString('latin1')
      const offered = this.#offered.get(ticket)
      if (offered === undefined) {
        this.#options.log.log('warning', 'somebody came without a valid ticket for a session at an old server')
        client.destroy()
        return
      }
      this.#offered.delete(ticket)
      clearTimeout(offered.expiry)
      const rest = line.subarray(end + 1)
      if (rest.length > 0) client.unshift(rest)
      this.#carry(offered, client)
    }
    client.on('data', onData)
  }

  #carry({ userId, old }: Offered, client: Socket): void {
    const { clock, log } = this.#options
    const carried: Carried = {
      userId,
      old,
      client,
      passedAtMs: clock.monotonic(),
      isAnswered: true,
      leavingSinceMs: undefined,
    }
    this.#carried.add(carried)
    log.log('debug', 'a session goes on at the old server', { user: userId, sessions: this.#carried.size })
    const passed = (isAnswered: boolean) => () => {
      carried.passedAtMs = clock.monotonic()
      carried.isAnswered = isAnswered
    }
    old.setKeepAlive(true, keepAliveMs)
    old.on('data', passed(true))
    client.on('data', passed(false))
    old.once('close', () => {
      this.#carried.delete(carried)
      client.end()
      client.resume()
    })
    client.once('close', () => {
      this.#carried.delete(carried)
      old.destroySoon()
    })
    if (old.destroyed) {
      this.#carried.delete(carried)
      client.end()
      return
    }
    old.pipe(client)
    client.pipe(old)
  }

  /** The daemon says the last words to the client, when it sees the end. */
  #end(carried: Carried): void {
    this.#carried.delete(carried)
    carried.client.end()
    carried.old.destroy()
  }

  async #look(): Promise<void> {
    const { signal } = this.#closing
    const { clock, log } = this.#options
    for (let pauseMs = lookMs; ; ) {
      await clock.sleep(pauseMs, signal).catch(() => {})
      if (signal.aborted) return
      const staying = new Map<UserId, boolean>()
      for (const { userId } of this.#carried) {
        if (staying.has(userId)) continue
        const isElsewhere = await this.#isElsewhere(userId).catch((error: Error) => {
          log.log('info', 'it is not known where a user belongs', { user: userId, reason: error.message })
          return true
        })
        staying.set(userId, isElsewhere)
      }
      pauseMs = lookMs
      for (const carried of this.#carried)
        if (staying.get(carried.userId) === false && !this.#endWhenQuiet(carried)) pauseMs = lookAgainMs
    }
  }

  #endWhenQuiet(carried: Carried): boolean {
    const { clock, log } = this.#options
    const now = clock.monotonic()
    carried.leavingSinceMs ??= now
    const isQuiet = carried.isAnswered && now - carried.passedAtMs >= quietMs
    if (!isQuiet && now - carried.leavingSinceMs < longestFarewellMs) return false
    log.log('notice', 'a session at the old server ends: the user is here now', { user: carried.userId })
    this.#end(carried)
    return true
  }
}
