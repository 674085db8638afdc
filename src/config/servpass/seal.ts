/**
 * Passwords under a passphrase: scrypt makes a key of it, AES-256-GCM seals. What is sealed is bound to its option, so that it can't be moved to another one. The
 * verifier tells a wrong passphrase from a changed value. docs/decisions/0197-servpass.md
 */
import { createCipheriv, createDecipheriv, createHmac, randomBytes, scrypt, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'

const mark = '{servpass1}'
const saltOctets = 16
const ivOctets = 12
const tagOctets = 16
const checkOctets = 8
/** 32 MiB and some 90 ms on a core, once for a file: its values share the verifier's salt. */
const cost = { N: 2 ** 15, r: 8, p: 1, maxmem: 2 ** 26 }
/** Of a value: its length is not told exactly. */
const blockOctets = 32

const derive = promisify<Buffer, Buffer, number, typeof cost, Buffer>(scrypt)

export const newSalt = (): Buffer => randomBytes(saltOctets)

export const keyOf = (passphrase: string, salt: Buffer): Promise<Buffer> =>
  derive(Buffer.from(passphrase), salt, 32, cost)

const checkOf = (key: Buffer) => createHmac('sha256', key).update('verifier').digest().subarray(0, checkOctets)

/** For `servpass:info`: 32 letters, digits, `-` and `_`. */
export const verifierOf = (key: Buffer, salt: Buffer): string =>
  Buffer.concat([salt, checkOf(key)]).toString('base64url')

/** Undefined for a text that no verifier is. */
export const saltOfVerifier = (verifier: string): Buffer | undefined =>
  /^[\w-]{32}$/.test(verifier) ? Buffer.from(verifier, 'base64url').subarray(0, saltOctets) : undefined

/** Whether `key`, made with the verifier's salt, is the right one. */
export const fits = (verifier: string, key: Buffer): boolean =>
  timingSafeEqual(Buffer.from(verifier, 'base64url').subarray(saltOctets), checkOf(key))

export const isSealed = (text: string): boolean => text.startsWith(mark)

/** `option` is the name of the element. The password has no NUL, as XML has none. */
export const seal = (key: Buffer, salt: Buffer, option: string, password: string): string => {
  const iv = randomBytes(ivOctets)
  const cipher = createCipheriv('aes-256-gcm', key, iv).setAAD(Buffer.from(option))
  const octets = Buffer.from(password)
  const padded = Buffer.alloc(Math.ceil((octets.length + 1) / blockOctets) * blockOctets)
  octets.copy(padded)
  const sealed = Buffer.concat([cipher.update(padded), cipher.final()])
  return mark + Buffer.concat([salt, iv, sealed, cipher.getAuthTag()]).toString('base64')
}

export interface Sealed {
  readonly salt: Buffer
  /** Undefined when the key is not the right one, the text was changed, or it was sealed for another option. */
  open(key: Buffer, option: string): string | undefined
}

/** Undefined for a text that `seal` did not make. */
export const parseSealed = (text: string): Sealed | undefined => {
  if (!isSealed(text) || !/^[A-Za-z0-9+/]+={0,2}$/.test(text.slice(mark.length))) return undefined
  const octets = Buffer.from(text.slice(mark.length), 'base64')
  const [ivAt, sealedAt, tagAt] = [saltOctets, saltOctets + ivOctets, octets.length - tagOctets]
  if (tagAt <= sealedAt) return undefined
  return {
    salt: octets.subarray(0, ivAt),
    open: (key, option) => {
      const decipher = createDecipheriv('aes-256-gcm', key, octets.subarray(ivAt, sealedAt), {
        authTagLength: tagOctets,
      })
      decipher.setAAD(Buffer.from(option)).setAuthTag(octets.subarray(tagAt))
      try {
        const padded = Buffer.concat([decipher.update(octets.subarray(sealedAt, tagAt)), decipher.final()])
        return padded.subarray(0, padded.indexOf(0)).toString()
      } catch {
        return undefined
      }
    },
  }
}
