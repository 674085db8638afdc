/** fips140_mode for connections whose ciphers no option says: those to backends, token endpoints, content filters. AUTH-13 */
import tls from 'node:tls'
import type { Config } from '../config/config.ts'
import { approvedCurves, cipherList, cipherListIn } from '../config/configured-ciphers.ts'

/** For the rest of the process's life. Throws OptionFault. */
export const limitAlgorithms = (config: Config): void => {
  if (!config.get('fips140_mode')) return
  tls.DEFAULT_CIPHERS = cipherList('tls_cipher_list', cipherListIn(config, 'tls_cipher_list')).ciphers
  tls.DEFAULT_ECDH_CURVE = approvedCurves
}
