/** Where mseventd is, and how a socket to it is opened. EVT-03, EVT-12, EVT-13 */
import type { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { createConnection, type Socket } from 'node:net'
import { connect as connectTls, type SecureContext, TLSSocket } from 'node:tls'

/** Where mseventd listens, as `listenersOf(config, 'msevent')` says it: a Unix socket or TCP. */
export type EventAddress = { readonly path: string } | { readonly host: string; readonly port: number }

/** TLS towards mseventd (`msevent_tls`); not for a Unix socket, which needs none. */
export interface EventTls {
  readonly context: SecureContext
  /** The only certificates that mseventd may show (`msevent_tls_auth`); any is accepted when there are none. */
  readonly certificates: readonly X509Certificate[]
}

/** For logs and errors: the path, or host:port. */
export const describeAddress = (address: EventAddress): string =>
  'path' in address
    ? address.path
    : `${address.host.includes(':') ? `[${address.host}]` : address.host}:${address.port}`

/** What is sent can't be read or changed on the way: a credential may pass. */
export const isProtected = (address: EventAddress, tls: EventTls | undefined): boolean =>
  'path' in address || tls !== undefined

/** A connected socket, TLS done and the certificate checked. Rejects with the socket's error, or when `signal` is aborted. */
export async function openSocket(
  address: EventAddress,
  tls: EventTls | undefined,
  signal: AbortSignal,
): Promise<Socket> {
  // Where mseventd listens on every interface, it is reached by this machine's own.
  const target = 'host' in address && address.host === '' ? { ...address, host: 'localhost' } : address
  // mseventd is known by its very certificate, not by an authority and a name.
  const useTls = tls && !('path' in address)
  const socket = useTls
    ? connectTls({ ...target, secureContext: tls.context, rejectUnauthorized: false })
    : createConnection(target)
  try {
    await once(socket, useTls ? 'secureConnect' : 'connect', { signal })
  } catch (error) {
    socket.on('error', () => {})
    socket.destroy()
    throw error
  }
  if (tls && tls.certificates.length > 0 && socket instanceof TLSSocket) {
    const shown = socket.getPeerX509Certificate()
    if (!tls.certificates.some(({ raw }) => shown?.raw.equals(raw))) {
      socket.destroy()
      throw new Error('mseventd shows another certificate than our own (msevent_tls_auth)')
    }
  }
  return socket.setNoDelay(true)
}
