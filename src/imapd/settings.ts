/** The options that imapd's sessions go by. */

import { administers } from '../auth/access.ts'
import { defaultDomain, findUserId } from '../auth/user-id.ts'
import type { UserId } from '../base/ids.ts'
import type { Config } from '../config/config.ts'
import { type Sharing, sharingOf } from '../sharing/sharing.ts'

export interface Settings {
  readonly gatewayMode: boolean
  /** Of somebody logged in over the other one, and the address that he is connected to. */
  readonly administers: (userId: UserId, other: UserId, localAddress: string) => boolean
  /** Told to everybody who logs in. IMAP-07 */
  readonly loginAlert: string | undefined
  /** IMAP-04 */
  readonly idleMs: number
  /** Between signs of life while COPY runs; 0: none. IMAP-06 */
  readonly keepaliveMs: number
  /** Largest message that APPEND takes. */
  readonly appendOctets: number
  /** /shared/admin and /shared/comment of the server. RFC 5464 §6.2 */
  readonly serverAdmin: string | undefined
  readonly serverComment: string | undefined
  /** Whom a name means that is no login; undefined: nobody can have it. */
  readonly userIdOf: (name: string) => UserId | undefined
  /** Groups, and shared roots. SHR-01 */
  readonly sharing: Sharing
}

const minuteMs = 60_000
/** deviates from no option: there is none for it. Above every mail server's usual limit. */
const appendOctets = 256 * 1024 * 1024

export function settingsOf(config: Config): Settings {
  const domain = defaultDomain(config, undefined)
  return {
    gatewayMode: config.get('gateway_mode'),
    administers: (userId, other, localAddress) => administers(config, userId, other, localAddress),
    loginAlert: config.get('login_alert'),
    idleMs: config.get('imap_timeout') * minuteMs,
    keepaliveMs: config.get('imap_keepalive') * minuteMs,
    appendOctets,
    serverAdmin: config.get('imap_server_admin'),
    serverComment: config.get('imap_server_comment'),
    userIdOf: (name) => findUserId(name, domain),
    sharing: sharingOf(config),
  }
}
