/** Refresh tokens as they lie on disk: sealed where there is a key, else as they are. docs/decisions/0192-tokens-of-backends.md */
import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { OAuthError } from './token-endpoint.ts'

const algorithm = 'aes-256-gcm'
const nonceOctets = 12
const tagOctets = 16
const keyOctets = 32

export class Sealer {
  readonly #key: Buffer

  private constructor(secret: Buffer) {
    this.#key = Buffer.from(hkdfSync('sha256', secret, '', 'wherry oauth consents', keyOctets))
  }

  /** `file`: at least 32 octets that nobody can guess. Throws OAuthError configuration. */
  static async from(file: string): Promise<Sealer> {
    const secret = await readFile(file).catch((cause: Error) => {
      throw new OAuthError('configuration', `${file} (oauth_key_file) can not be read: ${cause.message}`, { cause })
    })
    if (secret.length < keyOctets)
      throw new OAuthError(
        'configuration',
        `${file} (oauth_key_file) has ${secret.length} octets; it needs ${keyOctets} or more, for example: head -c 32 /dev/urandom > ${file}`,
      )
    const sealer = new Sealer(secret)
    secret.fill(0)
    return sealer
  }

  /** `owner`: what it is sealed to; it opens for the same only. */
  seal(text: string, owner: string): string {
    const nonce = randomBytes(nonceOctets)
    const cipher = createCipheriv(algorithm, this.#key, nonce).setAAD(Buffer.from(owner))
    return Buffer.concat([nonce, cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()]).toString('base64')
  }

  /** Undefined: sealed with another key, or to another owner, or damaged. */
  open(sealed: string, owner: string): string | undefined {
    const octets = Buffer.from(sealed, 'base64')
    if (octets.length < nonceOctets + tagOctets) return undefined
    const decipher = createDecipheriv(algorithm, this.#key, octets.subarray(0, nonceOctets))
      .setAAD(Buffer.from(owner))
      .setAuthTag(octets.subarray(-tagOctets))
    try {
      const text = decipher.update(octets.subarray(nonceOctets, -tagOctets))
      return Buffer.concat([text, decipher.final()]).toString('utf8')
    } catch {
      return undefined
    }
  }
}
