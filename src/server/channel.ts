/** What the SASL mechanisms may know of a TLS connection. */
import { createHash, X509Certificate } from 'node:crypto'
import type { PeerCertificate } from 'node:tls'
import type { Channel } from '../auth/sasl/mechanism.ts'
import { emailAddresses } from './client-names.ts'
import type { Secured } from './tls-acceptor.ts'

/**
 * Bindings only with TLS 1.3: below it an exporter needs the extended master secret to be unique (RFC 9266 §4.2), and Node does not tell whether
 * that was agreed on.
 */
export const channelOf = ({ socket, client }: Secured): Channel => {
  const binds = socket.getProtocol() === 'TLSv1.3'
  return {
    clientNames: client === undefined ? [] : emailAddresses(client),
    ssf: keyBits(socket.getCipher().standardName),
    binds,
    binding: (type) => {
      if (!binds) return undefined
      if (type === 'tls-server-end-point') return endPoint(socket.getCertificate())
      // RFC 9266 §2
      return type === 'tls-exporter'
        ? socket.exportKeyingMaterial(32, 'EXPORTER-Channel-Binding', Buffer.alloc(0))
        : undefined
    },
  }
}

/** From the IANA name of the suite, as TLS_AES_256_GCM_SHA384; 0 for one that does not encrypt. */
export const keyBits = (suite: string): number => {
  if (/_CHACHA20_/.test(suite)) return 256
  if (/_3DES_/.test(suite)) return 112
  const match = /_(?:AES|CAMELLIA|ARIA|SEED|IDEA|RC4)_(\d+)_/.exec(suite)
  if (match !== null) return Number(match[1])
  return /_(SEED|IDEA|RC4)_/.test(suite) ? 128 : 0
}

/**
 * RFC 5929 §4.1: the certificate that the client was shown, by the hash of its signature, and by SHA-256 where that is MD5 or SHA-1. It does
 * not say what to take for a signature whose name has no hash (Ed25519, RSASSA-PSS).
 */
const endPoint = (shown: PeerCertificate | object | null): Buffer | undefined => {
  if (shown === null || !('raw' in shown)) return undefined
  const { raw, signatureAlgorithm } = new X509Certificate(shown.raw)
  const hash = /(?:sha(?:1|224|256|384|512)|md5)(?=$|[^0-9])/i.exec(signatureAlgorithm ?? '')?.[0].toLowerCase()
  if (hash === undefined) return undefined
  return createHash(hash === 'md5' || hash === 'sha1' ? 'sha256' : hash)
    .update(raw)
    .digest()
}
