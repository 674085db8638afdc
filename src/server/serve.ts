/**
 * A service's clients, from accept to close: listeners, admission, TLS, a session each, and the end of all of them.
 * A session that fails takes nothing down but itself.
 */
import { randomBytes } from 'node:crypto'
import type { Socket } from 'node:net'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { connectionLimits } from '../base/limits.ts'
import { type Config, findingAt, placeOf } from '../config/config.ts'
import { type ListenerService, listenersOf } from '../config/listeners.ts'
import { Admission, type AdmissionLimits } from './admission.ts'
import { type ConnectionLimits, SocketConnection } from './connection.ts'
import { listen, type OpenListener, type SocketOwner } from './listener.ts'
import { asRoot } from './ms-user.ts'
import { sharedTicketKeys } from './ticket-keys.ts'
import { endsAt, loadTls, TlsError, type TlsMaterial } from './tls.ts'
import { TlsAcceptor } from './tls-acceptor.ts'
import { type ClientConnection, ConnectionLost, ConnectionTimeout, type RunningDaemon, type Runtime } from './types.ts'

export interface ClientService {
  /** Listeners where clients begin in the clear. */
  readonly plain?: ListenerService
  /** Listeners that begin with a TLS handshake. */
  readonly tls?: ListenerService
  /** Whom Unix sockets are given to. */
  readonly socketOwner?: SocketOwner | undefined
  /** Sent to a client that is one too many before it is closed: a whole line, '* BYE …\r\n'. */
  readonly refusal: string
  /** Runs a session to its end. The connection is closed afterwards, if it is not yet. */
  readonly serve: (connection: ClientConnection) => Promise<void>
  /** For tests. */
  readonly limits?: Partial<ConnectionLimits & AdmissionLimits & { readonly tlsHandshakeMs: number }>
}

export interface RunningClients extends Required<RunningDaemon> {
  /**
   * Has the sessions that are logged in say goodbye, as if the service stopped, because they can't be served any more
   * without another login. The reason is that of their connection's `stopping`.
   * `user`: only those that work on this user's mail here.
   */
  dismiss(reason: string, user?: string): void
}

/** Listens and serves. Throws ListenError or TlsError when it can't. */
export async function serveClients(runtime: Runtime, service: ClientService): Promise<RunningClients> {
  const clients = new Clients(runtime, service)
  await clients.start()
  return clients
}

const minuteMs = 60_000
/** Said in advance of a certificate's end. */
const expiryWarningMs = 14 * 24 * 60 * minuteMs
const startedAt = Math.floor(performance.timeOrigin / 1000).toString(36)
let connectionCount = 0

class Clients implements RunningClients {
  readonly #runtime: Runtime
  readonly #service: ClientService
  readonly #limits: ConnectionLimits & AdmissionLimits & { readonly tlsHandshakeMs: number }
  readonly #admission: Admission
  readonly #connections = new Map<SocketConnection, Promise<void>>()
  #config: Config
  #listeners: readonly OpenListener[] = []
  #certificates: TlsMaterial['certificates'] = []
  #acceptor: TlsAcceptor | undefined

  constructor(runtime: Runtime, service: ClientService) {
    this.#runtime = runtime
    this.#service = service
    this.#config = runtime.config
    this.#limits = { ...connectionLimits, ...service.limits }
    this.#admission = new Admission(this.#limits)
  }

  get addresses() {
    return this.#listeners.map(({ address }) => address)
  }

  async start(): Promise<void> {
    const { plain, tls } = this.#service
    const material = await loadTls(this.#config)
    if (tls !== undefined && !material)
      throw new TlsError(
        `enable_${tls} is true, but there is no certificate: set tls_cert_file (and tls_key_file), or enable_${tls} to false`,
      )
    if (material) this.#useTls(material)
    const { firstWorker, sharedPorts, replacement, log } = this.#runtime
    const exclusive = firstWorker && replacement !== true
    const open: OpenListener[] = []
    try {
      for (const service of [plain, tls]) {
        if (service === undefined) continue
        for (const listener of listenersOf(this.#config, service)) {
          if ('path' in listener && !firstWorker) continue
          const isLocal = 'path' in listener
          const onSocket = (socket: Socket) => this.#accept(socket, { implicitTls: service === tls, isLocal })
          const place = placeOf(this.#config, `${service}_port`, `${service}_host`)
          const { socketOwner } = this.#service
          const options = { service, listener, place, shared: sharedPorts, exclusive, log, onSocket, socketOwner }
          open.push(await asRoot(() => listen(options)))
        }
      }
    } catch (error) {
      for (const listener of open) listener.close()
      throw error
    }
    this.#listeners = open
  }

  async reload(config: Config): Promise<readonly string[]> {
    const material = await loadTls(config)
    const now = this.#runtime.clock.now()
    if (!material && this.#acceptor)
      throw new TlsError('tls_cert_file is gone from the configuration; restart the service to do without TLS')
    const ended = material?.certificates.find((certificate) => endsAt(certificate) < now)
    if (ended && this.#certificates.every((certificate) => endsAt(certificate) > now))
      throw new TlsError(findingAt(config, 'error', 'tls_cert_file', `the certificate ended ${ended.validTo}`))
    this.#config = config
    if (material) this.#useTls(material)
    return []
  }

  dismiss(reason: string, user?: string): void {
    for (const connection of this.#connections.keys())
      if (connection.isAuthenticated && (user === undefined || connection.userHere === user)) connection.stop(reason)
  }

  async stop(graceMs: number): Promise<void> {
    for (const listener of this.#listeners) listener.close()
    for (const connection of this.#connections.keys()) connection.stop('the service is stopping')
    const all = Promise.all(this.#connections.values())
    const { promise: late, resolve } = Promise.withResolvers<void>()
    const timer = setTimeout(resolve, graceMs)
    await Promise.race([all, late])
    clearTimeout(timer)
    for (const connection of this.#connections.keys()) connection.destroy('the service stopped')
    await all
  }

  #useTls(material: TlsMaterial): void {
    const { clock, log } = this.#runtime
    // Of each service its own: its users need not be those of another.
    const ticketFile = join(this.#config.get('run_dir'), `tls-tickets.${this.#service.plain ?? this.#service.tls}`)
    this.#acceptor = new TlsAcceptor(material, this.#limits.tlsHandshakeMs, sharedTicketKeys(ticketFile, clock))
    this.#certificates = material.certificates
    for (const [index, certificate] of material.certificates.entries()) {
      const leftMs = endsAt(certificate) - clock.now()
      if (leftMs < expiryWarningMs)
        log.log('warning', leftMs < 0 ? 'the TLS certificate has ended' : 'the TLS certificate ends soon', {
          file: this.#config.all('tls_cert_file')[index],
          end: certificate.validTo,
        })
    }
  }

  #accept(
    socket: Socket,
    { implicitTls, isLocal }: { readonly implicitTls: boolean; readonly isLocal: boolean },
  ): void {
    // A client that is gone by now has no address any more.
    socket.on('error', () => {})
    const admitted = this.#admission.admit(socket.remoteAddress)
    if (typeof admitted === 'string') {
      this.#runtime.log.log('warning', 'too many connections', { client: socket.remoteAddress, reason: admitted })
      if (implicitTls) socket.destroy()
      else socket.end(this.#service.refusal, () => socket.destroy())
      return
    }
    // IMAP-05: an option of IMAP alone.
    const keepAliveMinutes = this.#service.plain === 'imap' ? this.#config.get('tcp_keepalive') : 0
    if (keepAliveMinutes > 0) socket.setKeepAlive(true, keepAliveMinutes * minuteMs)
    const acceptor = isLocal ? undefined : this.#acceptor
    const connection = new SocketConnection(socket, {
      id: `${hostname()}.${process.pid}.${startedAt}.${++connectionCount}`,
      isLocal,
      log: this.#runtime.log,
      limits: this.#limits,
      maxNetBufferOctets: this.#config.get('max_net_buffer'),
      startTls: acceptor && ((plain) => acceptor.accept(plain)),
      onAuthenticated: admitted.authenticated,
    })
    connection.signal.addEventListener('abort', admitted.gone, { once: true })
    const served = this.#serve(connection, implicitTls).finally(() => this.#connections.delete(connection))
    this.#connections.set(connection, served)
  }

  async #serve(connection: SocketConnection, implicitTls: boolean): Promise<void> {
    const log = this.#runtime.log.child({ session: connection.id, client: connection.remoteAddress })
    log.log('info', 'connection', { local: connection.localAddress, tls: implicitTls })
    try {
      if (implicitTls) await connection.upgrade()
      await this.#service.serve(connection)
    } catch (error) {
      if (error instanceof ConnectionLost) log.log('info', 'connection lost', { reason: error.message })
      else if (error instanceof ConnectionTimeout) log.log('warning', 'client timed out', { reason: error.message })
      else if (!connection.signal.aborted)
        log.log('crit', 'a session failed', {
          incident: randomBytes(6).toString('hex'),
          error: error instanceof Error ? error.stack : String(error),
        })
    }
    await connection.close()
  }
}
