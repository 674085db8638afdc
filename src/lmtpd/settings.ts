/** The options that lmtpd's sessions go by. */
import { BlockList, isIP } from 'node:net'
import { hostname } from 'node:os'
import type { Config } from '../config/config.ts'

export interface Settings {
  /** What the server calls itself. */
  readonly host: string
  readonly overQuotaIsTemporary: boolean
  readonly authRequired: boolean
  /** Of a message, its dots taken out. RFC 1870 */
  readonly maxMessageOctets: number
  /** Whether a peer that came by TCP from this address may tell of others (XFORWARD), and need not log in. */
  isTrusted(address: string): boolean
}

/** As large as what IMAP clients may append. */
const maxMessageOctets = 256 * 1024 * 1024

/** Read once for each configuration; sessions look at the newest. */
export const settingsOf = (config: Config): Settings => {
  const trusted = new BlockList()
  for (const { address, prefix } of config.all('lmtp_trusted_hosts'))
    trusted.addSubnet(address, prefix, isIP(address) === 6 ? 'ipv6' : 'ipv4')
  return {
    host: hostname(),
    overQuotaIsTemporary: config.get('over_quota_temp_error'),
    authRequired: config.get('lmtp_auth_required'),
    maxMessageOctets,
    isTrusted: (address) => {
      const plain = address.replace(/%.*$/, '')
      return trusted.check(plain, isIP(plain) === 6 ? 'ipv6' : 'ipv4')
    },
  }
}
