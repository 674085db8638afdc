/**
 * The cipher suites that a list may name, by their OpenSSL names (administration guide, appendix D.2), and what each of them is made of. Their order is the
 * one they are preferred in; certificates with ECDSA keys come before those with RSA keys. TLS-12, TLS-13
 */
import { createSecureContext } from 'node:tls'

export interface Suite {
  readonly name: string
  readonly protocol: 'TLSv1.3' | 'TLSv1.2' | 'TLSv1' | 'SSLv2'
  readonly exchange: 'any' | 'RSA' | 'DHE' | 'ECDHE' | 'DH-DSS' | 'DH-RSA'
  readonly authentication: 'any' | 'RSA' | 'DSS' | 'ECDSA' | 'DH' | 'none'
  readonly cipher: 'AES' | 'CHACHA20' | 'CAMELLIA' | 'ARIA' | '3DES' | 'DES' | 'RC4' | 'RC2' | 'none'
  readonly mode: 'GCM' | 'CCM' | 'other'
  readonly mac: 'AEAD' | 'MD5' | 'SHA1' | 'SHA256' | 'SHA384'
  /** Length of the key; 0: no encryption. */
  readonly bits: number
  /** Weakened for export: what an EXP or EXP1024 stands before. */
  readonly export: boolean
  /** The annex has it among those of SSL v3.0 too. */
  readonly sslv3: boolean
}

const families = (names: readonly string[], suffix: string) => names.map((name) => `${name}${suffix}`)
const withKeys = ['ECDHE-ECDSA-', 'ECDHE-RSA-', 'DHE-DSS-', 'DHE-RSA-']
const all = [...withKeys, 'ADH-', '']

const names: readonly string[] = [
  ...['TLS_AES_256_GCM_SHA384', 'TLS_CHACHA20_POLY1305_SHA256', 'TLS_AES_128_GCM_SHA256', 'TLS_AES_128_CCM_SHA256'],
  ...families(all, 'AES256-GCM-SHA384'),
  ...families(['ECDHE-ECDSA-', 'ECDHE-RSA-', 'DHE-RSA-'], 'CHACHA20-POLY1305'),
  ...families(['ECDHE-ECDSA-', 'DHE-RSA-', ''], 'AES256-CCM'),
  ...['ECDHE-ECDSA-ARIA256-GCM-SHA384', 'ECDHE-ARIA256-GCM-SHA384'],
  ...families(['DHE-DSS-', 'DHE-RSA-', ''], 'ARIA256-GCM-SHA384'),
  ...families(all, 'AES128-GCM-SHA256'),
  ...families(['ECDHE-ECDSA-', 'DHE-RSA-', ''], 'AES128-CCM'),
  ...['ECDHE-ECDSA-ARIA128-GCM-SHA256', 'ECDHE-ARIA128-GCM-SHA256'],
  ...families(['DHE-DSS-', 'DHE-RSA-', ''], 'ARIA128-GCM-SHA256'),
  ...families(['ECDHE-ECDSA-', 'ECDHE-RSA-'], 'AES256-SHA384'),
  ...families(['DHE-DSS-', 'DHE-RSA-', 'ADH-', ''], 'AES256-SHA256'),
  ...families(['ECDHE-ECDSA-', 'ECDHE-RSA-'], 'CAMELLIA256-SHA384'),
  ...families(['DHE-DSS-', 'DHE-RSA-', 'ADH-', ''], 'CAMELLIA256-SHA256'),
  ...families(all, 'AES128-SHA256'),
  ...families(all, 'CAMELLIA128-SHA256'),
  ...families([...withKeys, 'DH-DSS-', 'DH-RSA-', 'AECDH-', 'ADH-', ''], 'AES256-SHA'),
  ...families(['DHE-DSS-', 'DHE-RSA-', 'ADH-', ''], 'CAMELLIA256-SHA'),
  ...families(['EDH-DSS-', 'EDH-RSA-', 'ADH-', ''], 'DES-CBC3-SHA'),
  ...families([...withKeys, 'DH-DSS-', 'DH-RSA-', 'AECDH-', 'ADH-', ''], 'AES128-SHA'),
  ...families(['DHE-DSS-', 'DHE-RSA-', 'ADH-', ''], 'CAMELLIA128-SHA'),
  ...['RC4-SHA', 'DHE-DSS-RC4-SHA', 'RC4-MD5', 'ADH-RC4-MD5'],
  ...families(['EDH-RSA-', 'ADH-', ''], 'DES-CBC-SHA'),
  // The first as the annex spells it.
  ...['EDH-DSS-CBC-SHA', 'EDH-DSS-DES-CBC-SHA'],
  ...['EXP1024-DES-CBC-SHA', 'EXP1024-RC4-SHA', 'EXP1024-DHE-DSS-DES-CBC-SHA', 'EXP1024-DHE-DSS-RC4-SHA'],
  ...families(['EXP-EDH-DSS-', 'EXP-EDH-RSA-', 'EXP-ADH-', 'EXP-'], 'DES-CBC-SHA'),
  ...['EXP-RC4-MD5', 'EXP-ADH-RC4-MD5', 'EXP-RC2-CBC-MD5', 'EXP-RC2-MD5', 'RC2-MD5', 'DES-CBC3-MD5', 'DES-CBC-MD5'],
  ...['ECDHE-ECDSA-NULL-SHA', 'ECDHE-RSA-NULL-SHA', 'AECDH-NULL-SHA', 'NULL-SHA256', 'NULL-SHA', 'NULL-MD5'],
]

const ssl2 = ['EXP-RC2-MD5', 'RC2-MD5', 'DES-CBC3-MD5', 'DES-CBC-MD5']

const describe = (name: string): Suite => {
  const weakened = /^EXP(1024)?-/.exec(name)
  const { cipher, bits } = cipherOf(name)
  const mac = macOf(name)
  const old = mac === 'SHA1' || mac === 'MD5'
  const protocol = ssl2.includes(name) ? 'SSLv2' : name.startsWith('TLS_') ? 'TLSv1.3' : old ? 'TLSv1' : 'TLSv1.2'
  return {
    name,
    protocol,
    ...keysOf(name),
    cipher,
    mode: /[_-]GCM/.test(name) ? 'GCM' : /[_-]CCM/.test(name) ? 'CCM' : 'other',
    mac,
    bits: weakened === null ? bits : weakened[1] === undefined ? 40 : 56,
    export: weakened !== null,
    sslv3: protocol === 'TLSv1' && !['AES', 'CAMELLIA'].includes(cipher) && !/ECDH/.test(name),
  }
}

/** A name without a part for it means RSA. TLS-13 */
const keysOf = (name: string): Pick<Suite, 'exchange' | 'authentication'> => {
  if (name.startsWith('TLS_')) return { exchange: 'any', authentication: 'any' }
  const part = /^(?:EXP(?:1024)?-)?(A?ECDHE?-ECDSA|ECDHE-RSA|ECDHE|AECDH|ADH|(?:DHE|EDH|DH)-(?:DSS|RSA))-/.exec(
    name,
  )?.[1]
  if (part === undefined) return { exchange: 'RSA', authentication: 'RSA' }
  if (part === 'AECDH') return { exchange: 'ECDHE', authentication: 'none' }
  if (part === 'ADH') return { exchange: 'DHE', authentication: 'none' }
  if (part === 'DH-DSS' || part === 'DH-RSA') return { exchange: part, authentication: 'DH' }
  const authentication = part.endsWith('ECDSA') ? 'ECDSA' : part.endsWith('DSS') ? 'DSS' : 'RSA'
  return { exchange: part.startsWith('ECDHE') ? 'ECDHE' : 'DHE', authentication }
}

const cipherOf = (name: string): Pick<Suite, 'cipher' | 'bits'> => {
  const block = /(AES|CAMELLIA|ARIA)_?(128|256)/.exec(name)
  if (block !== null) return { cipher: block[1] as Suite['cipher'], bits: Number(block[2]) }
  if (name.includes('CHACHA20')) return { cipher: 'CHACHA20', bits: 256 }
  if (name.includes('DES-CBC3')) return { cipher: '3DES', bits: 168 }
  if (name.includes('RC4')) return { cipher: 'RC4', bits: 128 }
  if (name.includes('RC2')) return { cipher: 'RC2', bits: 128 }
  return name.includes('NULL') ? { cipher: 'none', bits: 0 } : { cipher: 'DES', bits: 56 }
}

const macOf = (name: string): Suite['mac'] => {
  if (/[_-](GCM|CCM|POLY1305)/.test(name)) return 'AEAD'
  if (name.endsWith('MD5')) return 'MD5'
  return name.endsWith('SHA256') ? 'SHA256' : name.endsWith('SHA384') ? 'SHA384' : 'SHA1'
}

export const suites: readonly Suite[] = names.map(describe)

const known = new Map<string, boolean>()

/** Whether the OpenSSL that runs here was built with it. */
export const isBuiltIn = ({ name }: Suite): boolean => {
  let found = known.get(name)
  if (found === undefined) {
    found = canUse(name)
    known.set(name, found)
  }
  return found
}

const canUse = (ciphers: string): boolean => {
  try {
    createSecureContext({ ciphers })
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_SSL_NO_CIPHER_MATCH') return false
    throw error
  }
}
