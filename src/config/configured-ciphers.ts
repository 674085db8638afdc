/**
 * The cipher lists of the options, and what fips140_mode leaves of them: suites whose algorithms FIPS 140 approves of, with curves of NIST. AUTH-13,
 * docs/decisions/0198-fips140-mode.md
 */
import { OptionFault } from './certificate-files.ts'
import { type CipherList, CipherListFault, readCipherList } from './cipher-list.ts'
import type { Config } from './config.ts'

export type CipherOption = 'tls_cipher_list' | 'sasl/tls_cipher_list'

/** NIST SP 800-52r2 §3.3.1; SP 800-131A r2 ends key transport by RSA. */
const notApproved = '!aNULL:!eNULL:!kRSA:!CHACHA20:!CAMELLIA:!ARIA:!RC4:!RC2:!DES:!3DES:!MD5'
/** For `ecdhCurve` of node:tls. NIST SP 800-56A r3 */
export const approvedCurves = 'P-256:P-384:P-521'

/** In the notation of appendix D. */
export const cipherListIn = (config: Config, option: CipherOption): string => {
  const list = config.get(option).trim() || 'DEFAULT'
  return config.get('fips140_mode') ? `${list}:${notApproved}` : list
}

/** Throws OptionFault. */
export const cipherList = (option: CipherOption, list: string): CipherList => {
  try {
    return readCipherList(list)
  } catch (error) {
    if (!(error instanceof CipherListFault)) throw error
    throw new OptionFault(option, error.message, { cause: error })
  }
}
