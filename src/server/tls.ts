/** The server's side of TLS: certificates, authorities and ciphers, as the tls_* options say. TLS-01 to TLS-07 */
import { createPrivateKey, X509Certificate } from 'node:crypto'
import { duplexPair } from 'node:stream'
import { connect, createServer, type SecureContextOptions, type Server } from 'node:tls'
import { type CertificateOctets, OptionFault, readAuthorities, readCertificate } from '../config/certificate-files.ts'
import type { CipherList } from '../config/cipher-list.ts'
import { type Config, findingAt } from '../config/config.ts'
import { approvedCurves, cipherList, cipherListIn } from '../config/configured-ciphers.ts'
import { type Finding, formatFinding } from '../config/finding.ts'
import { type AuthorityDirectory, authorityDirectory } from './authority-directory.ts'

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
  /** Certificates, keys, authorities and ciphers. */
  readonly context: SecureContextOptions
  /** The certificates that are shown to clients, one of each kind of key; none where only anonymous suites are left. */
  readonly certificates: readonly X509Certificate[]
  /** Undefined when clients aren't asked for a certificate. */
  readonly clients: ClientCertificates | undefined
}

export interface ClientCertificates {
  readonly mustShow: boolean
  readonly mustVerify: boolean
  readonly depth: number
  /** Further authorities, asked for at each handshake. TLS-04 */
  readonly directory: AuthorityDirectory | undefined
}

/** Undefined when there is neither a certificate nor an anonymous suite that tls_cipher_list names. Throws TlsError when something can't be used. TLS-01 */
export async function loadTls(config: Config): Promise<TlsMaterial | undefined> {
  try {
    const list = cipherList('tls_cipher_list', cipherListIn(config, 'tls_cipher_list'))
    const files = filesOf(config)
    if (files.length === 0 && !list.anonymous) return undefined
    const file = config.get('tls_ca_file')
    // An empty list: clients' certificates are never judged by the authorities that are built into Node.
    const ca = file === undefined ? [] : [await readAuthorities('tls_ca_file', file)]
    const octets = await Promise.all(files.map((names) => readCertificate({ ...names, options })))
    const common = { ...ciphersOf(config, list), ca }
    const certificates: X509Certificate[] = []
    for (const [index, own] of octets.entries())
      certificates.push(await shownCertificate({ ...common, ...contextOf([own]) }, own, files[index]!.certFile))
    return { context: { ...common, ...contextOf(octets) }, certificates, clients: clientsOf(config) }
  } catch (error) {
    if (!(error instanceof OptionFault)) throw new TlsError((error as Error).message, { cause: error })
    throw new TlsError(findingAt(config, 'error', error.option, error.message), { cause: error })
  }
}

const options = { cert: 'tls_cert_file', key: 'tls_key_file', password: 'tls_key_password' } as const

/** The n-th key belongs to the n-th certificate. */
function filesOf(config: Config) {
  const [certFiles, keyFiles] = [config.all('tls_cert_file'), config.all('tls_key_file')]
  if (keyFiles.length > 0 && certFiles.length > 0 && keyFiles.length !== certFiles.length)
    throw new OptionFault(
      'tls_key_file',
      `is there ${keyFiles.length} times and tls_cert_file ${certFiles.length} times; give each certificate its key, in the same order`,
    )
  const password = config.get('tls_key_password')
  return certFiles.map((certFile, index) => ({ certFile, keyFile: keyFiles[index], password }))
}

const ciphersOf = (config: Config, { ciphers, maxVersion }: CipherList): SecureContextOptions => ({
  ciphers,
  // TLS 1.3 has no anonymous suites.
  maxVersion: config.isSet('tls_cert_file') ? maxVersion : 'TLSv1.2',
  ...(config.get('fips140_mode') && { ecdhCurve: approvedCurves }),
  // Without them no suite with DHE can be used; nobody needs one unless a list asks for it, and they cost the server most.
  ...(config.isSet('tls_cipher_list') && { dhparam: 'auto' }),
})

function contextOf(octets: readonly CertificateOctets[]): SecureContextOptions {
  const pem = octets.filter((own) => 'cert' in own)
  const pfx = octets.filter((own) => 'pfx' in own)
  const locked = (passphrase: string | undefined) => (passphrase === undefined ? {} : { passphrase })
  return {
    ...(pem.length > 0 && {
      cert: pem.map(({ cert }) => cert),
      key: pem.map(({ key, passphrase }) => ({ pem: key, ...locked(passphrase) })),
    }),
    ...(pfx.length > 0 && { pfx: pfx.map((own) => ({ buf: own.pfx, ...locked(own.passphrase) })) }),
  }
}

/** Clients are asked for a certificate when they must have one, and when EXTERNAL is asked for in so many words: many programs bother their users then. */
const clientsOf = (config: Config): TlsMaterial['clients'] => {
  const mustShow = config.get('tls_require_client_cert')
  const external = config.get('mech_list')?.some((name) => name.toUpperCase() === 'EXTERNAL') ?? false
  if (!mustShow && !external) return undefined
  const path = config.get('tls_ca_path')
  return {
    mustShow,
    mustVerify: !config.get('tls_force_verify'),
    depth: config.get('tls_verify_depth'),
    directory: path === undefined ? undefined : authorityDirectory(path),
  }
}

/** Milliseconds since 1970. */
export const endsAt = (certificate: X509Certificate): number => Date.parse(certificate.validTo)

/** Certificates and ciphers of the options, also where no service uses them: what `loadTls` would throw. Undefined: all are fine. */
export async function checkTls(config: Config): Promise<Finding | undefined> {
  try {
    const file = config.get('tls_ca_file')
    if ((await loadTls(config)) === undefined && file !== undefined) await readAuthorities('tls_ca_file', file)
    const path = config.get('tls_ca_path')
    if (path !== undefined) await authorityDirectory(path).check()
    return undefined
  } catch (error) {
    if (error instanceof TlsError && error.finding !== undefined) return error.finding
    if (error instanceof OptionFault) return findingAt(config, 'error', error.option, error.message)
    throw error
  }
}

/** What a client will see, learned by a handshake in memory: it works for every file format, and proves key and ciphers. */
async function shownCertificate(
  context: SecureContextOptions,
  own: CertificateOctets,
  certFile: string,
): Promise<X509Certificate> {
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
  // Whatever the list has: a client of ours would not offer all of it.
  const { ciphers } = context
  const client = connect({ socket: theirs, rejectUnauthorized: false, ...(ciphers && { ciphers }) }, () => {
    const shown = client.getPeerX509Certificate()
    if (shown) resolve(new X509Certificate(shown.raw))
    else reject(new Error('no certificate was shown'))
  }).on('error', reject)
  try {
    return await promise
  } catch (error) {
    if (!keyFits(own))
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
function keyFits(own: CertificateOctets): boolean {
  if (!('cert' in own)) return true
  const { cert, key, passphrase } = own
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
