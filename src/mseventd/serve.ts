/**
 * Sockets of mseventd. A connection that breaks the protocol, that does not read what it is sent, or that falls silent is
 * closed alone; the hub and the others go on. F24
 */
import { chmod, chown, mkdir } from 'node:fs/promises'
import type { Socket } from 'node:net'
import { dirname } from 'node:path'
import type { Clock } from '../base/clock.ts'
import { SyntaxFault } from '../base/errors.ts'
import { connectionLimits } from '../base/limits.ts'
import type { Log } from '../base/log.ts'
import type { Listener } from '../config/listeners.ts'
import { encodeHub, MAX_PAYLOAD_OCTETS } from '../events/wire.ts'
import { MppDecoder } from '../proto/mpp/decoder.ts'
import { ListenError, listen, type OpenListener } from '../server/listener.ts'
import { asRoot } from '../server/ms-user.ts'
import { ownTicketKeys } from '../server/ticket-keys.ts'
import type { TlsMaterial } from '../server/tls.ts'
import { TlsAcceptor } from '../server/tls-acceptor.ts'
import type { ListenAddress } from '../server/types.ts'
import { Hub } from './hub.ts'
import { Session } from './session.ts'

export interface HubOptions {
  readonly listeners: readonly Listener[]
  /** `file:line: ` of the options that name them, for errors. */
  readonly place?: string
  /** TCP connections have to use TLS. A Unix socket does without. */
  readonly tls?: TlsMaterial | undefined
  readonly clock: Clock
  readonly log: Log
  /** A client that leaves more than this unread is cut. */
  readonly maxUnreadOctets?: number
}

export interface RunningHub {
  /** Where it listens, with the ports that the system chose for port 0. */
  readonly addresses: readonly ListenAddress[]
  /** For handshakes from now on. */
  useTls(material: TlsMaterial): void
  stop(): Promise<void>
}

const MAX_UNREAD_OCTETS = 16 << 20
/** Clients ping every 30 s. */
const SILENCE_MS = 90_000
/** Longest path of a Unix socket on Linux. */
const MAX_PATH_OCTETS = 107

/** Listens everywhere. Throws ListenError, which says what to change. */
export async function startHub(options: HubOptions): Promise<RunningHub> {
  const { clock, log, maxUnreadOctets = MAX_UNREAD_OCTETS } = options
  const hub = new Hub(clock)
  const sockets = new Map<Socket, { heardAt: number }>()
  const listeners: OpenListener[] = []
  const stopped = new AbortController()
  const acceptorOf = (material: TlsMaterial) =>
    new TlsAcceptor(material, connectionLimits.tlsHandshakeMs, ownTicketKeys)
  let acceptor = options.tls && acceptorOf(options.tls)

  const accept = async (plain: Socket, isUnix: boolean) => {
    const state = { heardAt: clock.monotonic() }
    plain.on('error', () => {})
    sockets.set(plain, state)
    plain.once('close', () => sockets.delete(plain))
    const socket = isUnix || !acceptor ? plain : (await acceptor.accept(plain)).socket
    attend(socket, hub, { isProtected: isUnix || socket !== plain, log, maxUnreadOctets }, () => {
      state.heardAt = clock.monotonic()
    })
  }
  const reap = async () => {
    for (;;) {
      await clock.sleep(SILENCE_MS / 3, stopped.signal)
      const limit = clock.monotonic() - SILENCE_MS
      for (const [socket, { heardAt }] of sockets) if (heardAt < limit) socket.destroy()
    }
  }
  const stop = async () => {
    stopped.abort()
    for (const listener of listeners) listener.close()
    const closed = [...sockets.keys()].map((socket) => new Promise((resolve) => socket.once('close', resolve)))
    for (const socket of sockets.keys()) socket.destroy()
    await Promise.all(closed)
  }

  try {
    for (const listener of options.listeners) {
      const onSocket = (socket: Socket) => {
        accept(socket, 'path' in listener).catch((error: Error) =>
          log.log('info', 'no TLS with a client', { client: socket.remoteAddress, reason: error.message }),
        )
      }
      listeners.push(await open(listener, options.place ?? '', log, onSocket))
    }
  } catch (error) {
    await stop()
    throw error
  }
  reap().catch(() => {})
  return {
    addresses: listeners.map(({ address }) => address),
    useTls: (material) => {
      acceptor = acceptorOf(material)
    },
    stop,
  }
}

/** A Unix socket can be opened by the services' own user alone: whoever connects may be sent credentials. */
async function open(
  listener: Listener,
  place: string,
  log: Log,
  onSocket: (socket: Socket) => void,
): Promise<OpenListener> {
  const options = { service: 'msevent', listener, place, shared: false, exclusive: true, log, onSocket }
  if (!('path' in listener)) return asRoot(() => listen(options))
  const { path } = listener
  if (Buffer.byteLength(path) > MAX_PATH_OCTETS)
    throw new ListenError(
      `msevent_host: the path is longer than a Unix socket's may be (${MAX_PATH_OCTETS} octets): ${path}`,
    )
  await mkdir(dirname(path), { recursive: true, mode: 0o755 })
  const [uid, gid] = [process.geteuid!(), process.getegid!()]
  return asRoot(async () => {
    const opened = await listen(options)
    await chmod(path, 0o600)
    await chown(path, uid, gid)
    return opened
  })
}

interface Terms {
  readonly isProtected: boolean
  readonly log: Log
  readonly maxUnreadOctets: number
}

/** Joins a connection to its session in the hub. */
function attend(socket: Socket, hub: Hub, { isProtected, log, maxUnreadOctets }: Terms, heard: () => void): void {
  const decoder = new MppDecoder(MAX_PAYLOAD_OCTETS)
  const session = new Session(hub, {
    isProtected,
    send(octets) {
      if (socket.destroyed || socket.writableEnded) return
      socket.write(octets)
      if (socket.writableLength > maxUnreadOctets)
        socket.destroy(new Error(`it does not read: ${socket.writableLength} octets are waiting`))
    },
  })
  socket.on('error', (error) =>
    // A client that was killed, or one that is cut.
    log.log('code' in error && error.code === 'ECONNRESET' ? 'info' : 'warning', 'connection closed', {
      client: session.label,
      reason: error.message,
    }),
  )
  socket.on('end', () => socket.end())
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
