/**
 * What is stored instead of a password: a scrypt hash for passwords that arrive in clear, and SCRAM keys (RFC 5802, RFC 7677) for
 * mechanisms that prove knowledge of it. Octets count as given, except that SCRAM prepares them.
 *
 * Everything here computes at once and for a long time: call it in the hash pool, not in a service's event loop.
 */
import { createHash, createHmac, pbkdf2Sync, randomBytes, scryptSync, timingSafeEqual } from 'node:crypto'
import { saslPrep } from './saslprep.ts'

export type ScramHash = 'sha1' | 'sha256'

/** RFC 5802 §3 */
export interface ScramKeys {
  readonly hash: ScramHash
  readonly iterations: number
  readonly salt: Buffer
  readonly storedKey: Buffer
  readonly serverKey: Buffer
}

/** The verifiers of one password, as they are stored. */
export interface Verifiers {
  /** `$scrypt$ln=14,r=8,p=1$<salt>$<hash>`, base64 without padding. */
  readonly scrypt: string
  /** `SCRAM-SHA-1$<iterations>:<salt>$<StoredKey>:<ServerKey>`, base64 (RFC 5803 §2). Absent for a password that SCRAM can't carry. */
  readonly scramSha1?: string
  readonly scramSha256?: string
}

/** 16 MiB and some 40 ms on a core. */
const scryptCost = { logN: 14, r: 8, p: 1 }
/** Above the 4096 that RFC 5802 §5.1 asks for at least; the client pays the same, so no more than a telephone computes in some 20 ms. */
export const scramIterations = 16_384
/** What a stored verifier may ask for; more is a damaged or foreign file. */
const maxLogN = 20
const maxIterations = 10_000_000

const schemes: Readonly<Record<ScramHash, string>> = { sha1: 'SCRAM-SHA-1', sha256: 'SCRAM-SHA-256' }

/** New verifiers with fresh salts. */
export const makeVerifiers = (password: Uint8Array): Verifiers => {
  const scrypt = formatScrypt(scryptCost, randomBytes(16), password)
  const prepared = saslPrep(password)
  if (prepared === undefined) return { scrypt }
  return {
    scrypt,
    scramSha1: formatScram(scramKeys('sha1', prepared, randomBytes(16), scramIterations)),
    scramSha256: formatScram(scramKeys('sha256', prepared, randomBytes(16), scramIterations)),
  }
}

/** `password` is prepared already. RFC 5802 §3: SaltedPassword, ClientKey, StoredKey, ServerKey. */
export const scramKeys = (hash: ScramHash, password: Uint8Array, salt: Buffer, iterations: number): ScramKeys => {
  const salted = pbkdf2Sync(password, salt, iterations, hash === 'sha1' ? 20 : 32, hash)
  const clientKey = createHmac(hash, salted).update('Client Key').digest()
  const storedKey = createHash(hash).update(clientKey).digest()
  const serverKey = createHmac(hash, salted).update('Server Key').digest()
  return { hash, iterations, salt, storedKey, serverKey }
}

export const formatScram = ({ hash, iterations, salt, storedKey, serverKey }: ScramKeys): string =>
  `${schemes[hash]}$${iterations}:${salt.toString('base64')}$${storedKey.toString('base64')}:${serverKey.toString('base64')}`

/** Undefined for anything else than `formatScram` makes. */
export const parseScram = (text: string): ScramKeys | undefined => {
  const match =
    /^SCRAM-SHA-(1|256)\$(\d{1,8}):([A-Za-z0-9+/=]{1,200})\$([A-Za-z0-9+/=]{1,60}):([A-Za-z0-9+/=]{1,60})$/.exec(text)
  if (match === null) return undefined
  const hash = match[1] === '1' ? 'sha1' : 'sha256'
  const octets = (index: number) => Buffer.from(match[index]!, 'base64')
  const keys = {
    hash,
    iterations: Number(match[2]),
    salt: octets(3),
    storedKey: octets(4),
    serverKey: octets(5),
  } as const
  const length = hash === 'sha1' ? 20 : 32
  if (keys.storedKey.length !== length || keys.serverKey.length !== length) return undefined
  return keys.iterations < 1 || keys.iterations > maxIterations ? undefined : keys
}

interface ScryptCost {
  readonly logN: number
  readonly r: number
  readonly p: number
}

const scryptHash = ({ logN, r, p }: ScryptCost, salt: Buffer, password: Uint8Array, length: number): Buffer =>
  scryptSync(password, salt, length, { N: 2 ** logN, r, p, maxmem: 256 * r * 2 ** logN })

const unpadded = (octets: Buffer) => octets.toString('base64').replaceAll('=', '')

export const formatScrypt = (cost: ScryptCost, salt: Buffer, password: Uint8Array): string =>
  `$scrypt$ln=${cost.logN},r=${cost.r},p=${cost.p}$${unpadded(salt)}$${unpadded(scryptHash(cost, salt, password, 32))}`

const scryptForm = /^\$scrypt\$ln=(\d{1,2}),r=(\d{1,2}),p=(\d{1,2})\$([A-Za-z0-9+/]{1,100})\$([A-Za-z0-9+/]{22,100})$/

/** Whether the text is a scrypt verifier that `verifyPassword` can compute. */
export const isScrypt = (text: string): boolean => {
  const match = scryptForm.exec(text)
  return match !== null && Number(match[1]) >= 1 && Number(match[1]) <= maxLogN
}

/** Whether these octets made this scrypt verifier; compares in constant time. Throws RangeError for a text that isn't one. */
export const verifyPassword = (password: Uint8Array, scrypt: string): boolean => {
  const match = scryptForm.exec(scrypt)
  if (match === null || !isScrypt(scrypt)) throw new RangeError('not a scrypt verifier')
  const expected = Buffer.from(match[5]!, 'base64')
  const cost = { logN: Number(match[1]), r: Number(match[2]), p: Number(match[3]) }
  return timingSafeEqual(scryptHash(cost, Buffer.from(match[4]!, 'base64'), password, expected.length), expected)
}

/** A verifier that no password matches, as costly to check as a real one: for users that don't exist. */
export const decoy = `$scrypt$ln=${scryptCost.logN},r=${scryptCost.r},p=${scryptCost.p}$${'A'.repeat(22)}$${'A'.repeat(43)}`
