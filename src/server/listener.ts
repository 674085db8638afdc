/** Sockets that clients come in by. CAN-06, CAN-07 */
import { once } from 'node:events'
import { chmod, chown, lstat, unlink } from 'node:fs/promises'
import { createConnection, createServer, type Server, type Socket } from 'node:net'
import type { Log } from '../base/log.ts'
import type { Listener } from '../config/listeners.ts'
import { readHighWaterOctets } from './connection.ts'
import type { ListenAddress } from './types.ts'

/** No client can be taken at an address; the text says which and what to do. */
export class ListenError extends Error {
  override readonly name = 'ListenError'
}

export interface ListenOptions {
  /** Scheme of the options, for logs: 'imap', 'imaps' … */
  readonly service: string
  readonly listener: Listener
  /** `file:line: ` of the options that say so, or empty; an error begins with it. */
  readonly place: string
  /** Other processes of the service listen at the same port; the kernel spreads the connections. */
  readonly shared: boolean
  /** Fail when anybody else listens there already, which `shared` would hide. */
  readonly exclusive: boolean
  readonly log: Log
  readonly onSocket: (socket: Socket) => void
  /** Whom a Unix socket is given to; undefined: it stays with whoever made it. */
  readonly socketOwner?: SocketOwner | undefined
}

/** Who may connect to a Unix socket: this user, and this group. */
export interface SocketOwner {
  readonly uid: number
  readonly gid: number
}

export interface OpenListener {
  readonly address: ListenAddress
  /** Takes no more clients. Resolves when the socket is closed; connections go on. */
  close(): void
}

/** Logged at most once in this time: a flood of connections must not become a flood of records. */
const acceptErrorPauseMs = 10_000
/** Waiting to be accepted. */
const backlog = 1024

/** Throws ListenError. */
export async function listen(options: ListenOptions): Promise<OpenListener> {
  const { service, listener, shared, exclusive, log } = options
  const server = createServer(
    { allowHalfOpen: true, noDelay: true, highWaterMark: readHighWaterOctets },
    options.onSocket,
  )
  try {
    if ('path' in listener) await openPath(server, listener.path, options.socketOwner)
    else {
      const { host, port } = listener
      if (shared && exclusive && port !== 0) await probe(host, port)
      await open(server, { host, port, reusePort: shared })
    }
  } catch (error) {
    if (error instanceof ListenError) throw new ListenError(options.place + error.message, { cause: error })
    throw new ListenError(options.place + explain(service, listener, error as NodeJS.ErrnoException), { cause: error })
  }
  let quietUntil = 0
  // The system is out of descriptors or memory: this client is lost, the listener is not.
  server.on('error', (error) => {
    if (Date.now() < quietUntil) return
    quietUntil = Date.now() + acceptErrorPauseMs
    log.log('err', 'a client could not be accepted', { service, reason: error.message })
  })
  const bound = server.address()
  const at =
    typeof bound === 'object' && bound !== null && 'host' in listener ? { ...listener, port: bound.port } : listener
  log.log('info', 'listening', { service, at: describe(at) })
  return {
    address: { service, at },
    close: () => server.close(),
  }
}

/** `host:port`, `*:port` or the path. */
export const describe = (at: Listener): string =>
  'path' in at ? at.path : `${at.host === '' ? '*' : at.host.includes(':') ? `[${at.host}]` : at.host}:${at.port}`

interface Where {
  readonly host: string
  readonly port: number
  readonly reusePort: boolean
}

async function open(server: Server, { host, port, reusePort }: Where): Promise<void> {
  server.listen({ port, reusePort, backlog, ...(host === '' ? {} : { host }) })
  await once(server, 'listening')
}

/** With SO_REUSEPORT a second installation would silently get half of the first one's clients. */
async function probe(host: string, port: number): Promise<void> {
  const server = createServer()
  await open(server, { host, port, reusePort: false })
  server.close()
  await once(server, 'close')
}

/** A socket that a killed process left behind is replaced; a living one, or another kind of file, is an error. */
async function openPath(server: Server, path: string, owner: SocketOwner | undefined): Promise<void> {
  const found = await lstat(path).catch(() => undefined)
  if (found && !found.isSocket()) throw new ListenError(`${path} is in the way and is not a socket; remove it`)
  if (found) {
    if (await answers(path)) throw new ListenError(`another process listens at ${path}`)
    await unlink(path)
  }
  server.listen({ path, backlog })
  await once(server, 'listening')
  await chmod(path, 0o660)
  if (owner !== undefined)
    await chown(path, owner.uid, owner.gid).catch((cause: NodeJS.ErrnoException) => {
      throw new ListenError(
        `can't give the socket ${path} to another user (${cause.code}); that takes root at the start`,
        {
          cause,
        },
      )
    })
}

async function answers(path: string): Promise<boolean> {
  const socket = createConnection({ path })
  try {
    await once(socket, 'connect')
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ECONNREFUSED') return false
    throw error
  } finally {
    socket.destroy()
  }
}

function explain(service: string, listener: Listener, error: NodeJS.ErrnoException): string {
  const place = `${describe(listener)} (${service}_host, ${service}_port)`
  if ('path' in listener)
    return `can't make the socket ${listener.path} (${service}_host): ${error.code ?? error.message}; its directory has to belong to the user of the services (ms_user)`
  switch (error.code) {
    case 'EADDRINUSE':
      return `${place} is in use by another process; stop that one or choose another port`
    case 'EACCES':
    case 'EPERM':
      return `no permission to listen at ${place}; ports below 1024 need root at the start, or choose a higher port`
    case 'EADDRNOTAVAIL':
      return `${place} is no address of this machine`
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return `${place}: the host name can't be resolved`
    default:
      return `can't listen at ${place}: ${error.message}`
  }
}
