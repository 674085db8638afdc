/** Secrets of users as they lie on disk, sealed with a key from a file that an option names. docs/decisions/0192-tokens-of-backends.md, 0262-passwords-of-a-pull.md */
import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { OptionFault } from './certificate-files.ts'
import type { Config } from './config.ts'

const algorithm = 'aes-256-gcm'
const nonceOctets = 12
const tagOctets = 16
const keyOctets = 32

export type KeyOption = 'oauth_key_file' | 'migration_key_file'

export class Sealer {
  readonly #key: Buffer

  private constructor(secret: Buffer, purpose: string) {
    this.#key = Buffer.from(hkdfSync('sha256', secret, '', purpose, keyOctets))
  }

  /** Undefined: the option is not set. `purpose`: of the secrets; what was sealed for another one does not open. Throws OptionFault. */
  static async from(config: Config, option: KeyOption, purpose: string): Promise<Sealer | undefined> {
    const file = config.get(option)
    if (file === undefined) return undefined
    const secret = await readFile(file).catch((cause: Error) => {
      throw new OptionFault(option, `${file} (${option}) can not be read: ${cause.message}`, { cause })
    })
    // At least as much as nobody can guess.
    if (secret.length < keyOctets)
      throw new OptionFault(
        option,
        `${file} (${option}) has ${secret.length} octets; it needs ${keyOctets} or more, for example: head -c 32 /dev/urandom > ${file}`,
      )
    const sealer = new Sealer(secret, purpose)
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
