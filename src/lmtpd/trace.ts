/** Where a message came from, for its Received field. RFC 5321 §4.4 */
import type { Trace } from '../delivery/types.ts'
import type { Session } from './session.ts'

export function traceOf({ helo, user, connection }: Session, isUtf8: boolean): Trace {
  const { channel, isLocal, remoteAddress } = connection
  const address = isLocal ? undefined : remoteAddress
  return {
    helo: helo ?? '',
    address,
    name: undefined,
    type: transmissionType(isUtf8, channel !== undefined, user !== undefined),
    tls: channel === undefined ? undefined : `TLS, ${channel.ssf} bits`,
  }
}

/** Registered names: RFC 3848 §1, RFC 6531 §4.3. LMTP-11 */
export const transmissionType = (isUtf8: boolean, isSecure: boolean, isAuthenticated: boolean): string =>
  `${isUtf8 ? 'UTF8' : ''}LMTP${isSecure ? 'S' : ''}${isAuthenticated ? 'A' : ''}`
