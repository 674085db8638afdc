/** Handshakes on accepted sockets. docs/decisions/0052-handshakes-by-one-tls-server.md TLS-05 to TLS-07 */
import { constants, X509Certificate } from 'node:crypto'
import type { Socket } from 'node:net'
import {
  createServer,
  type DetailedPeerCertificate,
  type SecureContextOptions,
  type Server,
  type TLSSocket,
} from 'node:tls'
import type { TicketKeys } from './ticket-keys.ts'
import type { ClientCertificates, TlsMaterial } from './tls.ts'

/** What a handshake came to. */
export interface Secured {
  readonly socket: TLSSocket
  /** The client's certificate; undefined: it showed none, or one that does not verify. */
  readonly client: X509Certificate | undefined
}

/** Takes handshakes with one set of material. A reload makes a new one; handshakes under way end with the old. */
export class TlsAcceptor {
  readonly #server: Server
  readonly #context: SecureContextOptions
  readonly #clients: TlsMaterial['clients']
  readonly #handshakeMs: number
  readonly #ticketKeys: TicketKeys
  /** By addresses and ports: what joins the socket that went in with the one that comes out. */
  readonly #pending = new Map<string, (socket: TLSSocket) => void>()

  constructor({ context, clients }: TlsMaterial, handshakeMs: number, ticketKeys: TicketKeys) {
    // A session that is resumed brings neither the chain of the client's certificate nor another look at it.
    this.#context = clients === undefined ? context : { ...context, secureOptions: constants.SSL_OP_NO_TICKET }
    this.#clients = clients
    this.#handshakeMs = handshakeMs
    this.#ticketKeys = ticketKeys
    this.#server = createServer({
      ...this.#context,
      requestCert: clients !== undefined,
      // OpenSSL then fails the handshake of a client without certificate; one that does not verify is cut after it.
      rejectUnauthorized: (clients?.mustShow && clients.mustVerify) ?? false,
    })
    this.#server.on('secureConnection', (socket) => this.#pending.get(endpoints(socket))?.(socket))
    this.#server.on('tlsClientError', (_, socket) => {
      socket.on('error', () => {}).destroy()
    })
  }

  /** Rejects when the handshake fails or is not done in time; the socket is destroyed then. */
  async accept(plain: Socket): Promise<Secured> {
    const key = endpoints(plain)
    const { promise, resolve, reject } = Promise.withResolvers<TLSSocket>()
    const onClose = () => reject(new Error('the client closed, sent no TLS or took too long'))
    plain.on('close', onClose)
    // Node's own limit is on silence: an octet now and then would keep a handshake open. H2
    const timer = setTimeout(() => plain.destroy(), this.#handshakeMs)
    this.#pending.set(key, resolve)
    try {
      await this.#refresh()
      this.#server.emit('connection', plain)
      const socket = await promise
      return { socket, client: this.#clients && checkClient(socket, this.#clients) }
    } catch (error) {
      plain.destroy()
      throw error
    } finally {
      clearTimeout(timer)
      this.#pending.delete(key)
      plain.off('close', onClose)
    }
  }

  /** What may have changed since the last handshake. */
  async #refresh(): Promise<void> {
    if (this.#clients === undefined) {
      const keys = await this.#ticketKeys.current()
      if (keys !== undefined) this.#server.setTicketKeys(keys)
      return
    }
    const found = await this.#clients.directory?.changed()
    if (found === undefined) return
    const { ca } = this.#context
    this.#server.setSecureContext({ ...this.#context, ca: [...(ca as readonly Buffer[]), ...found] })
  }
}

const endpoints = ({ remoteAddress, remotePort, localAddress, localPort }: Socket): string =>
  `${remoteAddress} ${remotePort} ${localAddress} ${localPort}`

/** Answers the client's certificate if it verifies. AUTH-12 */
function checkClient(
  socket: TLSSocket,
  { mustShow, mustVerify, depth }: ClientCertificates,
): X509Certificate | undefined {
  const certificate = socket.getPeerCertificate(true)
  if (certificate.raw === undefined) {
    if (mustShow) throw new Error('the client shows no certificate (tls_require_client_cert)')
    return undefined
  }
  const tooLong = issuers(certificate) > depth
  if (socket.authorized && !tooLong) return new X509Certificate(certificate.raw)
  if (mustVerify && tooLong)
    throw new Error(`the client's certificate chain is longer than ${depth} (tls_verify_depth)`)
  if (mustVerify) throw new Error("the client's certificate can't be verified (tls_force_verify)")
  return undefined
}

/** Certificates above the client's own. */
function issuers(certificate: DetailedPeerCertificate): number {
  let count = 0
  let current = certificate
  while (
    current.issuerCertificate !== undefined &&
    current.issuerCertificate.fingerprint256 !== current.fingerprint256
  ) {
    current = current.issuerCertificate
    count++
  }
  return count
}
