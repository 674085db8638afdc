/**
 * TLS towards backends, of both protocols: what is offered in the handshake, what the certificate of the other side proves, and what a
 * failure means. docs/decisions/0081-stls-and-downgrade.md, docs/decisions/0193-pins-and-exceptions.md
 */
import { createHash, type X509Certificate } from 'node:crypto'
import { isIP } from 'node:net'
import tls, { type ConnectionOptions, type TLSSocket } from 'node:tls'
import type { Protection } from './choose-login.ts'
import { BackendError, type BackendErrorKind } from './errors.ts'
import { printable } from './reply-classifier.ts'

export interface TlsTrust {
  /** Certificates that count as authorities, PEM; undefined: those of Node and NODE_EXTRA_CA_CERTS. */
  readonly ca?: string | Buffer | string[]
  /** SHA-256 of certificates or public keys, hexadecimal: only these are taken, whoever signed them. */
  readonly fingerprints?: readonly string[]
  /** TLS 1.0 and 1.1, and keys and ciphers that are too weak, are taken. */
  readonly legacy?: boolean
}

/** For `tls.connect`. `verify`: a certificate that does not verify ends the handshake; with pins that is for `protectionOf` to say. */
export const tlsOptionsOf = (
  { ca, fingerprints, legacy }: TlsTrust,
  host: string,
  verify: boolean,
): ConnectionOptions => ({
  ...(ca === undefined ? {} : { ca }),
  host,
  // RFC 6066 §3: a name, never an address.
  servername: isIP(host) === 0 ? host : '',
  rejectUnauthorized: verify && fingerprints === undefined,
  ...(legacy === true ? { minVersion: 'TLSv1', ciphers: `${tls.DEFAULT_CIPHERS}:@SECLEVEL=0` } : {}),
})

/** Right behind the handshake, before anything is sent. Throws BackendError tls for a certificate that is not the pinned one. */
export const protectionOf = (socket: TLSSocket, { fingerprints }: TlsTrust, name: string): Protection => {
  if (fingerprints === undefined) return socket.authorized ? 'tls' : 'unverified'
  const certificate = socket.getPeerX509Certificate()
  const own = certificate === undefined ? [] : fingerprintsOf(certificate)
  if (own.some((fingerprint) => fingerprints.includes(fingerprint))) return 'tls'
  throw new BackendError(
    'tls',
    `the certificate of ${name} is not the one of tls_fingerprint: its SHA-256 is ${own[0] ?? 'unknown'}, that of its public key ${own[1] ?? 'unknown'}`,
  )
}

const fingerprintsOf = (certificate: X509Certificate): readonly string[] => [
  certificate.fingerprint256.replaceAll(':', '').toLowerCase(),
  createHash('sha256')
    .update(certificate.publicKey.export({ type: 'spki', format: 'der' }))
    .digest('hex'),
]

/** What would not be accepted without the exception; undefined: nothing. RFC 8996, NIST SP 800-57 part 1 table 2 */
export const weaknessOf = (socket: TLSSocket): string | undefined => {
  const version = socket.getProtocol()
  if (version === 'TLSv1' || version === 'TLSv1.1') return version
  const bits = socket.getPeerX509Certificate()?.publicKey.asymmetricKeyDetails?.modulusLength
  return bits !== undefined && bits < 2048 ? `a key of ${bits} bits` : undefined
}

/** Codes of OpenSSL's verification do not have a common part. */
const certificateFault = /CERT|SELF_SIGNED|ISSUER|ALTNAME|LEAF_SIGNATURE|CRL|HOSTNAME/
const legacyFault = /PROTOCOL|VERSION|TOO_SMALL|TOO_WEAK|KEY_TOO|MD_TOO|CIPHER|NO_SHARED/

/** What an error of a socket means. `connected`: TCP, and TLS where it is from the first octet, were done. */
export const connectionError = (error: Error, connected: boolean, name: string): BackendError => {
  const code = 'code' in error && typeof error.code === 'string' ? error.code : ''
  const certificate = certificateFault.test(code) && !code.startsWith('ERR_SSL')
  const handshake = !connected && code.startsWith('ERR_SSL')
  const kind: BackendErrorKind = certificate || handshake ? 'tls' : connected ? 'closed' : 'connect'
  const what = certificate
    ? 'the certificate of'
    : handshake
      ? 'no TLS with'
      : connected
        ? 'the connection broke to'
        : 'no connection to'
  const advice = certificate ? certificateHint : handshake && legacyFault.test(code) ? legacyHint : ''
  // Node adds advice for programmers behind a semicolon, and OpenSSL places in its sources.
  const why = printable(handshake ? code : error.message.split(';')[0]!)
  return new BackendError(kind, `${what} ${name}: ${why}${advice}`, { cause: error })
}

const certificateHint =
  '; name its authority in tls_ca_file, or its fingerprint in tls_fingerprint, or do without the check (backend_tls_verify, tls_verify in ms_sync.xml)'
const legacyHint =
  "; another service may be at that port; for a server that knows only old TLS, set tls_legacy='true' in ms_sync.xml"
