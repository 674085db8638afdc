/** The server's side of TLS: what the tls_* options say, and handshakes on accepted sockets. TLS-01 to TLS-07 */
import { createPrivateKey, X509Certificate } from 'node:crypto'
import { readdir } from 'node:fs/promises'
import type { Socket } from 'node:net'
import { join } from 'node:path'
import { duplexPair } from 'node:stream'
import {
  connect,
  createServer,
  type DetailedPeerCertificate,
  type SecureContextOptions,
  type Server,
  type TLSSocket,
} from 'node:tls'
import { cipherList, OptionFault, read, readAuthorities, readCertificate } from '../config/certificate-files.ts'
import { type Config, findingAt } from '../config/config.ts'
import { type Finding, formatFinding } from '../config/finding.ts'

/** TLS can't be set up as the options say; the text names the option. */
export class TlsError extends Error {
  override readonly name = 'TlsError'
  /** With the option at fault and its line, where it is one. */
  readonly finding: Finding | undefined
  constructor(what: string | Finding, options?: ErrorOptions) {
    super(typeof what === 'string' ? what : formatFinding(what), options)
    this.finding = typeof what === 'string' ? undefined : what
  }
}

export interface TlsMaterial {
  /** Certificate, key, authorities and ciphers. */
  readonly context: SecureContextOptions
  /** The certificate that is shown to clients. */
  readonly certificate: X509Certificate
  /** Undefined when clients aren't asked for a certificate. */
  readonly clients: { readonly mustShow: boolean; readonly mustVerify: boolean; readonly depth: number } | undefined
}

/** Undefined when no certificate is configured. Throws TlsError when there is one that can't be used. */
export async function loadTls(config: Config): Promise<TlsMaterial | undefined> {
  const certFile = config.get('tls_cert_file')
  if (certFile === undefined) return undefined
  try {
    const files = { certFile, keyFile: config.get('tls_key_file'), password: config.get('tls_key_password') }
    const options = { cert: 'tls_cert_file', key: 'tls_key_file', password: 'tls_key_password' } as const
    const certificate = await readCertificate({ ...files, options })
    const ciphers = cipherList('tls_cipher_list', config.get('tls_cipher_list'))
    const context = {
      ...certificate,
      ...(ciphers === undefined ? {} : { ciphers }),
      // An empty list: clients' certificates are never judged by the authorities that are built into Node.
      ca: await authorities(config.get('tls_ca_file'), config.get('tls_ca_path')),
    } as SecureContextOptions
    return {
      context,
      certificate: await shownCertificate(context, certFile),
      clients: clientsOf(config),
    }
  } catch (error) {
    if (!(error instanceof OptionFault)) throw new TlsError((error as Error).message, { cause: error })
    throw new TlsError(findingAt(config, 'error', error.option, error.message), { cause: error })
  }
}

/** Clients are asked for a certificate when they must have one, and when EXTERNAL is asked for in so many words: many programs bother their users then. */
const clientsOf = (config: Config): TlsMaterial['clients'] => {
  const mustShow = config.get('tls_require_client_cert')
  const external = config.get('mech_list')?.some((name) => name.toUpperCase() === 'EXTERNAL') ?? false
  if (!mustShow && !external) return undefined
  return { mustShow, mustVerify: !config.get('tls_force_verify'), depth: config.get('tls_verify_depth') }
}

/** Milliseconds since 1970. */
export const expiresAt = (certificate: X509Certificate): number => Date.parse(certificate.validTo)

async function authorities(file: string | undefined, directory: string | undefined): Promise<readonly Buffer[]> {
  const found = file === undefined ? [] : [await readAuthorities('tls_ca_file', file)]
  if (directory === undefined) return found
  const names = await readdir(directory).catch((error: NodeJS.ErrnoException) => {
    throw new OptionFault('tls_ca_path', `${directory} can't be read: ${error.code}`, { cause: error })
  })
  for (const name of names.filter((name) => /\.(pem|crt|0)$/.test(name)))
    found.push(await read('tls_ca_path', join(directory, name)))
  return found
}

/** Certificates and ciphers of the options, also where no service uses them: what `loadTls` would throw. Undefined: all are fine. */
export async function checkTls(config: Config): Promise<Finding | undefined> {
  try {
    if (config.isSet('tls_cert_file')) await loadTls(config)
    else {
      cipherList('tls_cipher_list', config.get('tls_cipher_list'))
      await authorities(config.get('tls_ca_file'), config.get('tls_ca_path'))
    }
    return undefined
  } catch (error) {
    if (error instanceof TlsError && error.finding !== undefined) return error.finding
    if (error instanceof OptionFault) return findingAt(config, 'error', error.option, error.message)
    throw error
  }
}

/** What a client will see, learned by a handshake in memory: it works for every file format, and proves key and ciphers. */
async function shownCertificate(context: SecureContextOptions, certFile: string): Promise<X509Certificate> {
  let server: Server
  try {
    server = createServer(context)
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    throw new OptionFault(
      'tls_cert_file',
      `${certFile} and its key can't be used: ${reasons[code ?? message] ?? message}`,
      {
        cause: error,
      },
    )
  }
  const [ours, theirs] = duplexPair()
  const { promise, resolve, reject } = Promise.withResolvers<X509Certificate>()
  server.on('tlsClientError', reject).on('secureConnection', (socket) => socket.on('error', () => {}))
  server.emit('connection', ours)
  const client = connect({ socket: theirs, rejectUnauthorized: false }, () => {
    const shown = client.getPeerX509Certificate()
    if (shown) resolve(new X509Certificate(shown.raw))
    else reject(new Error('no certificate was shown'))
  }).on('error', reject)
  try {
    return await promise
  } catch (error) {
    if (!keyFits(context))
      throw new OptionFault('tls_cert_file', `${certFile} and its key can't be used: ${otherKey}`, { cause: error })
    throw new OptionFault(
      'tls_cert_file',
      `a handshake with ${certFile} and tls_cipher_list fails: ${(error as Error).message}`,
      { cause: error },
    )
  } finally {
    client.destroy()
    ours.destroy()
  }
}

/** OpenSSL takes a key of another kind than the certificate's (RSA, EC) without a word, and then finds no signature. */
function keyFits({ cert, key, passphrase }: SecureContextOptions): boolean {
  if (typeof cert !== 'string' || typeof key !== 'string') return true
  return new X509Certificate(cert).checkPrivateKey(createPrivateKey({ key, ...(passphrase && { passphrase }) }))
}

const otherKey = 'the key in tls_key_file belongs to another certificate'

const reasons: Readonly<Record<string, string>> = {
  ERR_OSSL_X509_KEY_VALUES_MISMATCH: otherKey,
  ERR_OSSL_BAD_DECRYPT: 'tls_key_password does not open the key',
  ERR_MISSING_PASSPHRASE: 'the key is protected, and tls_key_password is not set',
  // This one comes without a code.
  'mac verify failure': 'tls_key_password does not open the PKCS#12 file',
  ERR_OSSL_PEM_NO_START_LINE: 'there is no PEM block of that kind in the file (tls_cert_file, tls_key_file)',
}

/** What a handshake came to. */
export interface Secured {
  readonly socket: TLSSocket
  /** The client's certificate; undefined: it showed none, or one that does not verify. */
  readonly client: X509Certificate | undefined
}

/** Takes handshakes with one set of material. A reload makes a new one; handshakes under way end with the old. */
export class TlsAcceptor {
  readonly #server: Server
  readonly #clients: TlsMaterial['clients']
  readonly #handshakeMs: number
  /** By addresses and ports: what joins the socket that went in with the one that comes out. */
  readonly #pending = new Map<string, (socket: TLSSocket) => void>()

  constructor({ context, clients }: TlsMaterial, handshakeMs: number) {
    this.#clients = clients
    this.#handshakeMs = handshakeMs
    this.#server = createServer({
      ...context,
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
}

const endpoints = ({ remoteAddress, remotePort, localAddress, localPort }: Socket): string =>
  `${remoteAddress} ${remotePort} ${localAddress} ${localPort}`

/** Answers the client's certificate if it verifies. AUTH-12 */
function checkClient(
  socket: TLSSocket,
  { mustShow, mustVerify, depth }: NonNullable<TlsMaterial['clients']>,
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
