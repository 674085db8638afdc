/** The Ed25519 key (RFC 8032) of an installation, which signs its certificates; made when it is needed first. */
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
  verify,
} from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { StoreError } from '../base/errors.ts'
import { recordDirectory } from '../base/record-directory.ts'

/** In the directory of the certificates. */
const keyName = 'signing-key.pem'

export class SigningKey {
  readonly #key: KeyObject

  private constructor(key: KeyObject) {
    this.#key = key
  }

  /** Of a PEM file (PKCS #8). Throws StoreError invalid, unavailable. */
  static async read(file: string): Promise<SigningKey> {
    const pem = await readFile(file).catch((cause: Error) => {
      throw new StoreError('unavailable', `${file} can not be read: ${cause.message}`, { cause })
    })
    return SigningKey.#of(pem, file)
  }

  /** Two that make it at the same time have the same one afterwards. Mode 0600. Throws StoreError. */
  static async readOrMake(directory: string): Promise<SigningKey> {
    const records = recordDirectory(directory, 'the certificates')
    for (;;) {
      const pem = await records.read(keyName)
      if (pem !== undefined) return SigningKey.#of(pem, `${directory}/${keyName}`)
      const made = generateKeyPairSync('ed25519').privateKey.export({ format: 'pem', type: 'pkcs8' })
      await records.add(keyName, Buffer.from(made)).catch((error: unknown) => {
        if (!(error instanceof StoreError) || error.kind !== 'already-exists') throw error
      })
    }
  }

  static #of(pem: Buffer, file: string): SigningKey {
    let key: KeyObject | undefined
    try {
      key = createPrivateKey(pem)
    } catch (cause) {
      throw new StoreError('invalid', `${file} is no private key in PEM: ${(cause as Error).message}`, { cause })
    }
    if (key.asymmetricKeyType !== 'ed25519')
      throw new StoreError('invalid', `${file} is no Ed25519 key; openssl genpkey -algorithm ed25519 makes one`)
    return new SigningKey(key)
  }

  /** Base64. */
  sign(text: string): string {
    return sign(null, Buffer.from(text), this.#key).toString('base64')
  }

  /** PEM, SubjectPublicKeyInfo. */
  get publicPem(): string {
    return createPublicKey(this.#key).export({ format: 'pem', type: 'spki' }).toString()
  }

  get id(): string {
    return keyId(this.publicPem)
  }
}

/** SHA-256 of the DER, hex. Throws for what is no public key. */
export const keyId = (publicPem: string): string =>
  createHash('sha256')
    .update(createPublicKey(publicPem).export({ format: 'der', type: 'spki' }))
    .digest('hex')

export const isSignedBy = (publicPem: string, text: string, signature: string): boolean =>
  verify(null, Buffer.from(text), createPublicKey(publicPem), Buffer.from(signature, 'base64'))
