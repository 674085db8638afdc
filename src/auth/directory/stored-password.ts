/** Values of userPassword (RFC 2307 §5.3, RFC 4519 §2.41) checked here. */
import { createHash, timingSafeEqual } from 'node:crypto'

/** Salted and not, with the octets of the digest. */
const schemes: Readonly<Record<string, readonly [algorithm: string, digestOctets: number]>> = {
  SHA: ['sha1', 20],
  SSHA: ['sha1', 20],
  SHA256: ['sha256', 32],
  SSHA256: ['sha256', 32],
  SHA384: ['sha384', 48],
  SSHA384: ['sha384', 48],
  SHA512: ['sha512', 64],
  SSHA512: ['sha512', 64],
}

const schemeForm = /^\{([A-Za-z0-9-]{1,30})\}(.{1,400})$/s

/** Whether the value is a password, and not what a scheme made of one. */
export const isClear = (stored: Buffer): boolean => !schemeForm.test(stored.toString('latin1'))

/** `clear`: the value is the password. `hashed`: it says how it was made, in braces; a way that is not known matches nothing. AUTH-06 */
export const passwordMatches = (stored: Buffer, password: Buffer, kind: 'clear' | 'hashed'): boolean => {
  const scheme = schemeForm.exec(stored.toString('latin1'))
  if (kind === 'clear') return isClear(stored) && timingSafeEqual(digest(stored), digest(password))
  const [, name = '', encoded = ''] = scheme ?? []
  const [algorithm, octets] = schemes[name.toUpperCase()] ?? []
  const value = Buffer.from(encoded, 'base64')
  if (algorithm === undefined || octets === undefined || value.length < octets) return false
  if (!name.toUpperCase().startsWith('SS') && value.length > octets) return false
  const made = createHash(algorithm).update(password).update(value.subarray(octets)).digest()
  return timingSafeEqual(made, value.subarray(0, octets))
}

const digest = (octets: Buffer) => createHash('sha256').update(octets).digest()
