/**
 * SCRAM keys for users who have none. A client is told salt and iterations before it proves anything: they must look like a real user's, and be the
 * same at each try, in every process and after a restart, or they would tell who exists. RFC 5802 §9
 */
import { createHmac, randomBytes } from 'node:crypto'
import { StoreError } from '../base/errors.ts'
import type { UserId } from '../base/ids.ts'
import { recordDirectory } from '../base/record-directory.ts'
import { type ScramHash, type ScramKeys, scramIterations } from './verifier.ts'

/** Beside the accounts, whose files end with `.json`. */
const fileName = 'made-up-keys.secret'
const secretOctets = 32

export interface MadeUpKeys {
  /** Nobody knows what would prove them. Throws StoreError unavailable. */
  of(userId: UserId, hash: ScramHash): Promise<ScramKeys>
  /** A password that nobody has. */
  password(userId: UserId): Promise<Buffer>
}

/** Makes the secret that they come from when it is first needed. */
export const openMadeUpKeys = (directory: string): MadeUpKeys => {
  const records = recordDirectory(directory, 'the secret of made-up SCRAM keys')
  const load = async (): Promise<Buffer> => {
    const found = await records.read(fileName)
    if (found !== undefined && found.length === secretOctets) return found
    if (found !== undefined)
      throw new StoreError('unavailable', `${directory}/${fileName} does not have ${secretOctets} octets; remove it`)
    const made = randomBytes(secretOctets)
    try {
      await records.add(fileName, made)
      return made
    } catch (error) {
      // Another process was first.
      if (error instanceof StoreError && error.kind === 'already-exists') return load()
      throw error
    }
  }
  let secret: Promise<Buffer> | undefined
  const loaded = (): Promise<Buffer> => {
    secret ??= load().catch((error: unknown) => {
      secret = undefined
      throw error
    })
    return secret
  }
  return {
    password: async (userId) =>
      createHmac('sha256', await loaded())
        .update(`password ${userId}`)
        .digest(),
    of: async (userId, hash) => {
      const key = await loaded()
      const octets = (what: string) => createHmac(hash, key).update(`${what} ${userId}`).digest()
      return {
        hash,
        iterations: scramIterations,
        salt: octets('salt').subarray(0, 16),
        storedKey: octets('StoredKey'),
        serverKey: octets('ServerKey'),
      }
    },
  }
}
