/**
 * Sockets of mseventd. A connection that breaks the protocol, that does not read what it is sent, or that falls silent is
 * closed alone; the hub and the others go on. F24
 */
import { once } from 'node:events'
import { chmod, lstat, mkdir, unlink } from 'node:fs/promises'
import { createServer, type Server, type Socket } from 'node:net'
import { dirname } from 'node:path'
import { createServer as createTlsServer, type SecureContextOptions } from 'node:tls'
import type { Clock } from '../base/clock.ts'
import { SyntaxFault } from '../base/errors.ts'
import type { Log } from '../base/log.ts'
import { describeAddress, type EventAddress, openSocket } from '../events/address.ts'
import { encodeHub, MAX_PAYLOAD_OCTETS } from '../events/wire.ts'
import { MppDecoder } from '../proto/mpp/decoder.ts'
import { Hub } from './hub.ts'
import { Session } from './session.ts'

export interface HubOptions {
  /** An empty host is every interface. */
  readonly addresses: readonly EventAddress[]
  /** Every connection has to use TLS. */
  readonly tls?: SecureContextOptions | undefined
  readonly clock: Clock
  readonly log: Log
  /** A client that leaves more than this unread is cut. */
  readonly maxUnreadOctets?: number
}

export interface RunningHub {
  /** Where it listens, with the ports that the system chose for port 0. */
  readonly addresses: readonly EventAddress[]
  stop(): Promise<void>
}

const MAX_UNREAD_OCTETS = 16 << 20
const MAX_CONNECTIONS = 4096
/** Clients ping every 30 s. */
const SILENCE_MS = 90_000
/** Longest path of a Unix socket on Linux. */
const MAX_PATH_OCTETS = 107

/** Listens everywhere, or throws with what to change. */
export async function startHub(options: HubOptions): Promise<RunningHub> {
  const { clock, log } = options
  const hub = new Hub(clock)
  const sockets = new Map<Socket, { heardAt: number }>()
  const servers: Server[] = []
  const addresses: EventAddress[] = []
  const stopped = new AbortController()
  const stop = async () => {
    stopped.abort()
    const closed = servers.map((server) => new Promise((resolve) => server.close(resolve)))
    for (const socket of sockets.keys()) socket.destroy()
    await Promise.all(closed)
  }
  const accept = (socket: Socket, isProtected: boolean) => {
    const state = { heardAt: clock.monotonic() }
    sockets.set(socket, state)
    socket.once('close', () => sockets.delete(socket))
    attend(socket, hub, isProtected, options, () => {
      state.heardAt = clock.monotonic()
    })
  }
  try {
    for (const address of options.addresses) {
      const isProtected = 'path' in address || options.tls !== undefined
      const onSocket = (socket: Socket) => accept(socket, isProtected)
      const server =
        options.tls && !('path' in address) ? createTlsServer(options.tls, onSocket) : createServer(onSocket)
      server.maxConnections = MAX_CONNECTIONS
      const where = await listen(server, address)
      servers.push(server)
      addresses.push(where)
      log.log('info', `events at ${describeAddress(where)}`, { tls: options.tls !== undefined })
    }
  } catch (error) {
    await stop()
    throw error
  }
  const reap = async () => {
    for (;;) {
      await clock.sleep(SILENCE_MS / 3, stopped.signal)
      const limit = clock.monotonic() - SILENCE_MS
      for (const [socket, { heardAt }] of sockets)
        if (heardAt < limit) socket.destroy(new Error(`nothing heard for ${SILENCE_MS / 1000} s`))
    }
  }
  reap().catch(() => {})
  return { addresses, stop }
}

/** Answers the address with the port in use. */
async function listen(server: Server, address: EventAddress): Promise<EventAddress> {
  if ('path' in address) {
    await listenOnPath(server, address.path)
    return address
  }
  server.listen(address.port, address.host === '' ? undefined : address.host)
  await once(server, 'listening')
  const bound = server.address()
  return bound !== null && typeof bound === 'object' ? { host: address.host, port: bound.port } : address
}

function attend(socket: Socket, hub: Hub, isProtected: boolean, options: HubOptions, heard: () => void): void {
  const { log, maxUnreadOctets = MAX_UNREAD_OCTETS } = options
  const decoder = new MppDecoder(MAX_PAYLOAD_OCTETS)
  const session = new Session(hub, {
    isProtected,
    send(octets) {
      if (socket.destroyed) return
      socket.write(octets)
      if (socket.writableLength > maxUnreadOctets)
        socket.destroy(new Error(`it does not read: ${socket.writableLength} octets are waiting`))
    },
  })
  socket.setNoDelay(true)
  socket.on('error', (error) =>
    log.log('warning', 'connection closed', { client: session.label, reason: error.message }),
  )
  socket.on('close', () => session.disconnected())
  socket.on('data', (chunk: Buffer) => {
    heard()
    try {
      decoder.push(chunk)
      for (let message = decoder.next(); message; message = decoder.next()) session.receive(message)
    } catch (error) {
      const text = error instanceof SyntaxFault ? error.message : 'internal error'
      socket.removeAllListeners('data')
      socket.end(encodeHub('error', 0, { text }))
      socket.destroySoon()
      log.log(error instanceof SyntaxFault ? 'warning' : 'err', 'connection closed: it broke the protocol', {
        client: session.label,
        reason: (error as Error).message,
      })
    }
  })
}

/**
 * Binds a socket that only our own user can open. A socket that a killed mseventd left behind is removed; anything else
 * at that place, or a living mseventd, is an error.
 */
async function listenOnPath(server: Server, path: string): Promise<void> {
  if (Buffer.byteLength(path) > MAX_PATH_OCTETS)
    throw new Error(`msevent_host: the path is longer than a Unix socket's may be (${MAX_PATH_OCTETS} octets): ${path}`)
  await mkdir(dirname(path), { recursive: true, mode: 0o700 })
  const found = await lstat(path).catch(() => undefined)
  if (found) {
    if (!found.isSocket()) throw new Error(`msevent_host: ${path} is in the way and is not a socket; remove it`)
    const living = await openSocket({ path }, undefined, AbortSignal.timeout(5000)).catch(
      (error: NodeJS.ErrnoException) => (error.code === 'ECONNREFUSED' ? undefined : Promise.reject(error)),
    )
    living?.destroy()
    if (living) throw new Error(`msevent_host: another mseventd is listening at ${path}`)
    await unlink(path)
  }
  // Bound without rights for others from the first moment: bind happens inside listen.
  const umask = process.umask(0o177)
  const listens = once(server, 'listening')
  server.listen(path)
  process.umask(umask)
  await listens
  await chmod(path, 0o600)
}
