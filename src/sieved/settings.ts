/** The options that sieved's sessions go by. */
import type { Config } from '../config/config.ts'
import type { ScriptLimits } from '../store/scripts.ts'

export interface Settings {
  /** MS-02, MS-03 */
  readonly limits: ScriptLimits
  /** Of one run of a script. RFC 5804 §1.7 */
  readonly maxRedirects: number
}

const kilobyte = 1024

/** Read once for each configuration; sessions look at the newest. */
export const settingsOf = (config: Config): Settings => ({
  limits: { octets: config.get('sieve_maxscriptsize') * kilobyte, scripts: config.get('sieve_maxscripts') },
  maxRedirects: config.get('sieve_maxredirects'),
})
