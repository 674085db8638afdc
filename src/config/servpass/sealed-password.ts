/** Passwords of ms.conf that stay sealed in the configuration, and are opened each time one is used. SRV-07 */
import type { ServiceKey } from '../options/shared-folders.ts'
import { isServiceName, KeyFileFault, keyFileOf, readKeyFile } from './key-file.ts'
import { fits, keyOf, parseSealed, type Sealed, saltOfVerifier } from './seal.ts'

/** What a password element holds that spasscrypt encrypted. */
export class SealedPassword {
  readonly #option: string
  readonly #sealed: Sealed
  readonly #text: string
  #key: Buffer | undefined

  /** `option`: the name of the element. Throws RangeError for a text that spasscrypt did not write. */
  constructor(option: string, text: string) {
    const sealed = parseSealed(text)
    if (sealed === undefined)
      throw new RangeError('is not what spasscrypt writes; write the password in clear, and run it again')
    this.#option = option
    this.#sealed = sealed
    this.#text = text
  }

  get salt(): Buffer {
    return this.#sealed.salt
  }

  /** Whether this key opens it, which it does from now on. */
  unlock(key: Buffer): boolean {
    if (this.#sealed.open(key, this.#option) === undefined) return false
    this.#key = key
    return true
  }

  /** The password in clear. Throws Error when it was not unlocked. */
  open(): string {
    const opened = this.#key && this.#sealed.open(this.#key, this.#option)
    if (opened === undefined) throw new Error(`${this.#option} is encrypted, and its service key was not read`)
    return opened
  }

  /** For comparisons between configurations. */
  toJSON(): string {
    return this.#text
  }
}

/** Makes the keys of a configuration, the one for each salt once. Throws KeyFileFault. */
export class ServiceKeys {
  readonly #passphrase: string
  readonly #keys = new Map<string, Promise<Buffer>>()

  private constructor(passphrase: string) {
    this.#passphrase = passphrase
  }

  /** Throws KeyFileFault when there is no key, or the verifier is another one's. */
  static async of(configFile: string, { service, verifier }: ServiceKey): Promise<ServiceKeys> {
    if (!isServiceName(service))
      throw new KeyFileFault(`${JSON.stringify(service.slice(0, 70))} is not the name of a service; it is isode.mbox`)
    const keys = new ServiceKeys((await readKeyFile(keyFileOf(configFile, service))).passphrase)
    const salt = saltOfVerifier(verifier)
    if (salt === undefined || !fits(verifier, await keys.for(salt)))
      throw new KeyFileFault(
        `the verifier is not that of the service key ${service}; put there what spassmgt get ${service} prints, and encrypt the passwords again if the passphrase is a new one`,
      )
    return keys
  }

  for(salt: Buffer): Promise<Buffer> {
    const name = salt.toString('base64')
    const known = this.#keys.get(name) ?? keyOf(this.#passphrase, salt)
    this.#keys.set(name, known)
    return known
  }
}
