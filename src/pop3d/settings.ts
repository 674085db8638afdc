/** The options that pop3d's sessions go by. */
import type { Config } from '../config/config.ts'

export interface Settings {
  readonly gatewayMode: boolean
  /** Of a session that is logged in. POP-03 */
  readonly idleMs: number
  /** Least time between two logins of a user; 0: none. RFC 2449 §6.6 */
  readonly loginDelaySeconds: number
}

const MINUTE_MS = 60_000

/** Read once for each configuration; sessions look at the newest. */
export const settingsOf = (config: Config): Settings => ({
  gatewayMode: config.get('gateway_mode'),
  idleMs: config.get('pop_timeout') * MINUTE_MS,
  loginDelaySeconds: config.get('pop_login_delay'),
})
