/**
 * Cipher lists as the administration guide writes them (appendix D), turned into the suites that today's OpenSSL has. The meaning of a name is the guide's: OpenSSL's own has
 * changed since (HIGH has 128 bits there). docs/decisions/0195-cipher-lists.md
 */
import { isBuiltIn, type Suite, suites } from './cipher-suites.ts'

export interface CipherList {
  /** For `ciphers` of node:tls: names of suites, the preferred one first. */
  readonly ciphers: string
  /** For `maxVersion` of node:tls, which does not go by the suites. */
  readonly maxVersion: 'TLSv1.2' | 'TLSv1.3'
  /** It has suites without a certificate on the server's side, because the list names them. */
  readonly anonymous: boolean
  /** What an operator may not expect. */
  readonly warnings: readonly string[]
}

/** A list that can't be obeyed; says why. */
export class CipherListFault extends Error {
  override readonly name = 'CipherListFault'
}

type Test = (suite: Suite) => boolean

const isAnonymous: Test = ({ authentication }) => authentication === 'none'
const isNull: Test = ({ bits }) => bits === 0
const never: Test = () => false
const cipherIs =
  (...ciphers: readonly Suite['cipher'][]): Test =>
  ({ cipher }) =>
    ciphers.includes(cipher)
const macIs =
  (wanted: Suite['mac']): Test =>
  ({ mac }) =>
    mac === wanted
const anonymousDh: Test = (suite) => isAnonymous(suite) && suite.exchange === 'DHE'
const ephemeralDh: Test = ({ exchange, authentication }) => exchange === 'DHE' && authentication !== 'none'
const dh: Test = ({ exchange }) => ['DHE', 'DH-DSS', 'DH-RSA'].includes(exchange)
const ecdhe: Test = ({ exchange }) => exchange === 'ECDHE'
const rsaExchange: Test = ({ exchange }) => exchange === 'RSA'
const ecdsa: Test = ({ authentication }) => authentication === 'ECDSA'
const dss: Test = ({ authentication }) => authentication === 'DSS'
const exported: Test = (suite) => suite.export
/** TLS-16: what ALL has and DEFAULT lacks; today that is the anonymous suites of both kinds of Diffie-Hellman. */
const notInDefault: Test = (suite) => isAnonymous(suite) && !isNull(suite)

/** TLS-12; the names in the second part came with later versions of OpenSSL. */
const groups: Readonly<Record<string, Test>> = {
  ALL: (suite) => !isNull(suite),
  COMPLEMENTOFALL: isNull,
  COMPLEMENTOFDEFAULT: notInDefault,
  HIGH: ({ bits }) => bits > 128,
  MEDIUM: (suite) => suite.bits === 128 && !exported(suite),
  LOW: (suite) => [56, 64].includes(suite.bits) && !exported(suite),
  EXP: exported,
  EXPORT: exported,
  EXPORT40: (suite) => exported(suite) && suite.bits === 40,
  EXPORT56: (suite) => exported(suite) && suite.bits === 56,
  eNULL: isNull,
  NULL: isNull,
  aNULL: isAnonymous,
  kRSA: rsaExchange,
  RSA: rsaExchange,
  kEDH: ephemeralDh,
  kDHr: ({ exchange }) => exchange === 'DH-RSA',
  kDHd: ({ exchange }) => exchange === 'DH-DSS',
  aRSA: ({ authentication }) => authentication === 'RSA',
  aDSS: dss,
  DSS: dss,
  aDH: ({ authentication }) => authentication === 'DH',
  TLSv1: ({ protocol }) => protocol === 'TLSv1',
  SSLv3: ({ sslv3 }) => sslv3,
  SSLv2: ({ protocol, name }) => protocol === 'SSLv2' || ['RC4-MD5', 'EXP-RC4-MD5'].includes(name),
  DH: dh,
  ADH: anonymousDh,
  AES: cipherIs('AES'),
  '3DES': cipherIs('3DES'),
  DES: cipherIs('DES'),
  RC4: cipherIs('RC4'),
  RC2: cipherIs('RC2'),
  MD5: macIs('MD5'),
  SHA1: macIs('SHA1'),
  SHA: macIs('SHA1'),

  'TLSv1.2': ({ protocol }) => protocol === 'TLSv1.2',
  'TLSv1.3': ({ protocol }) => protocol === 'TLSv1.3',
  kDHE: ephemeralDh,
  DHE: ephemeralDh,
  EDH: ephemeralDh,
  kECDHE: ecdhe,
  kEECDH: ecdhe,
  ECDH: ecdhe,
  ECDHE: (suite) => ecdhe(suite) && !isAnonymous(suite),
  EECDH: (suite) => ecdhe(suite) && !isAnonymous(suite),
  AECDH: (suite) => ecdhe(suite) && isAnonymous(suite),
  aECDSA: ecdsa,
  ECDSA: ecdsa,
  AES128: ({ cipher, bits }) => cipher === 'AES' && bits === 128,
  AES256: ({ cipher, bits }) => cipher === 'AES' && bits === 256,
  AESGCM: ({ cipher, mode }) => cipher === 'AES' && mode === 'GCM',
  AESCCM: ({ cipher, mode }) => cipher === 'AES' && mode === 'CCM',
  CHACHA20: cipherIs('CHACHA20'),
  CAMELLIA: cipherIs('CAMELLIA'),
  ARIA: cipherIs('ARIA'),
  SHA256: macIs('SHA256'),
  SHA384: macIs('SHA384'),
  // Nothing here has keys of these kinds; they are known so that they can be excluded.
  ...Object.fromEntries(
    ['PSK', 'kPSK', 'aPSK', 'SRP', 'KRB5', 'FZA', 'IDEA', 'SEED', 'GOST'].map((name) => [name, never]),
  ),
}

/** Elements that name suites without authentication, and without encryption: nothing else brings them in. TLS-16 */
const namesAnonymous = ['aNULL', 'ADH', 'AECDH', 'COMPLEMENTOFDEFAULT']
const namesNull = ['eNULL', 'NULL', 'COMPLEMENTOFALL']

/** TLS-11 */
const defaultList = 'ALL:!ADH:RC4+RSA:+SSLv2:@STRENGTH'

/** Longer than all names there are. */
const maxOctets = 8192

/** Throws CipherListFault. */
export const readCipherList = (text: string): CipherList => {
  if (text.length > maxOctets) throw new CipherListFault(`has more than ${maxOctets} characters`)
  const list = new Preferences()
  const gone: string[] = []
  for (const [index, element] of elementsOf(text).entries()) {
    if (element === 'DEFAULT' && index === 0) for (const part of elementsOf(defaultList)) list.apply(part)
    else if (list.apply(element) === 'gone') gone.push(element)
  }
  const chosen = list.suites.filter(isBuiltIn)
  const version = `OpenSSL ${process.versions.openssl}`
  if (chosen.length === 0) throw new CipherListFault(`leaves no suite that ${version} has; DEFAULT is a good value`)
  const hasNewest = chosen.some(({ protocol }) => protocol === 'TLSv1.3')
  const anonymous = chosen.filter(isAnonymous)
  const clear = chosen.filter(isNull)
  const warnings = [
    ...gone.map((element) => `${element} names no suite that ${version} has, and changes nothing; remove it`),
    ...(anonymous.length === 0
      ? []
      : [`lets anybody in between read and change everything: ${anonymous[0]!.name} has no certificate; remove it`]),
    ...(clear.length === 0 ? [] : [`lets everybody read along: ${clear[0]!.name} does not encrypt; remove it`]),
    ...(hasNewest
      ? []
      : ['has no suite of TLS 1.3, which is off therefore; add TLSv1.3, unless that is what you want']),
  ]
  // OpenSSL does not use these otherwise, named or not; keys and signatures of a certificate may be weaker too then.
  const level = anonymous.length + clear.length === 0 ? [] : ['@SECLEVEL=0']
  return {
    ciphers: [...chosen.map(({ name }) => name), ...level].join(':'),
    maxVersion: hasNewest ? 'TLSv1.3' : 'TLSv1.2',
    anonymous: anonymous.length > 0,
    warnings,
  }
}

/** TLS-10; the guide's examples have a blank behind an operator. */
const elementsOf = (text: string): readonly string[] => {
  const elements: string[] = []
  let operator = ''
  for (const word of text.split(/[\s:,]+/)) {
    if (word === '') continue
    if (/^[!+-]$/.test(word)) {
      if (operator !== '') throw new CipherListFault(`has nothing behind ${operator}`)
      operator = word
      continue
    }
    elements.push(operator + word)
    operator = ''
  }
  if (operator !== '') throw new CipherListFault(`has nothing behind ${operator}`)
  return elements.length === 0 ? ['DEFAULT'] : elements
}

/** The list as it grows, element by element. */
class Preferences {
  suites: Suite[] = []
  readonly #removed = new Set<Suite>()

  /** 'gone': it asks for suites, and OpenSSL has none of them. */
  apply(element: string): 'gone' | 'done' {
    if (element === '@STRENGTH') {
      this.suites = this.suites.toSorted((a, b) => b.bits - a.bits)
      return 'done'
    }
    const operator = /^[!+-]/.exec(element)?.[0]
    const matching = matchesOf(operator === undefined ? element : element.slice(1))
    if (operator === undefined) {
      const wanted = matching.filter((suite) => isMeant(suite, element))
      this.suites.push(...wanted.filter((suite) => !this.#removed.has(suite) && !this.suites.includes(suite)))
      return wanted.some(isBuiltIn) ? 'done' : 'gone'
    }
    const rest = this.suites.filter((suite) => !matching.includes(suite))
    this.suites = operator === '+' ? [...rest, ...this.suites.filter((suite) => matching.includes(suite))] : rest
    if (operator === '!') for (const suite of matching) this.#removed.add(suite)
    return 'done'
  }
}

/** Throws CipherListFault. */
const matchesOf = (names: string): readonly Suite[] => {
  const tests = names.split('+').map(testOf)
  return suites.filter((suite) => tests.every((test) => test(suite)))
}

const testOf = (name: string): Test => {
  if (name === 'DEFAULT')
    throw new CipherListFault('has DEFAULT behind something else; it has to come first, and alone')
  if (Object.hasOwn(groups, name)) return groups[name]!
  const named = suites.find((suite) => suite.name === name)
  if (named === undefined)
    throw new CipherListFault(
      `has ${JSON.stringify(name.slice(0, 60))}, which is neither a suite nor a group of suites`,
    )
  return (suite) => suite === named
}

const isMeant = (suite: Suite, element: string): boolean => {
  const names = element.split('+')
  const has = (list: readonly string[]) => names.some((name) => name === suite.name || list.includes(name))
  return (!isAnonymous(suite) || has(namesAnonymous)) && (!isNull(suite) || has(namesNull))
}
