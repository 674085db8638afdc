/** The accounts, asked about what a client showed or proved. */
import type { Clock } from '../base/clock.ts'
import type { UserId } from '../base/ids.ts'
import type { AccountRecord, Accounts } from './accounts.ts'
import type { HashPool } from './hash-pool.ts'
import { openMadeUpKeys } from './made-up-keys.ts'
import { badCredentials } from './refusals.ts'
import type { Verified } from './verified.ts'
import { parseScram, type ScramHash, type ScramKeys } from './verifier.ts'

/** Everything throws AuthError, StoreError. */
export interface Users {
  withPassword(userId: UserId, password: Buffer): Promise<AccountRecord>
  scramKeys(userId: UserId, hash: ScramHash): Promise<ScramKeys>
  clearPassword(userId: UserId): Promise<Buffer>
  /** Of a user who proved to be it. */
  proven(userId: UserId): Promise<AccountRecord>
}

export interface UserChecks {
  /** Where the secret of made-up keys is kept. */
  readonly directory: string
  /** The accounts have passwords in clear, where they have any. */
  readonly hasClearPasswords: boolean
  readonly hashPool: HashPool
  readonly verified: Verified
  readonly clock: Clock
}

/** The look-up of a user who exists takes longer; by then both are long done. */
const keysAfterMs = 5

/** Does no I/O yet. */
export const openUsers = (
  accounts: Accounts,
  { directory, hasClearPasswords, verified, hashPool, clock }: UserChecks,
): Users => {
  const madeUp = openMadeUpKeys(directory)
  const clearPassword = async (userId: UserId): Promise<Buffer> => {
    const answerTime = clock.sleep(keysAfterMs)
    const [account, decoyPassword] = await Promise.all([accounts.find(userId), madeUp.password(userId), answerTime])
    const stored = account === undefined ? undefined : accounts.clearPassword(account)
    // An empty one would be proved by everybody.
    return stored === undefined || stored.length === 0 ? decoyPassword : stored
  }
  return {
    withPassword: async (userId, password) => {
      const account = await accounts.find(userId)
      // Of accounts that are checked here; a directory is asked each time.
      const verifier = account?.verifiers?.scrypt
      if (account !== undefined && verifier !== undefined && verified.has(userId, verifier, password)) return account
      const matches = await accounts.matches(userId, account, password)
      if (account === undefined || !matches) throw badCredentials()
      if (verifier !== undefined) verified.add(userId, verifier, password)
      return account
    },
    scramKeys: async (userId, hash) => {
      // The same work, whoever it is: a user who exists costs as much as one who does not.
      if (hasClearPasswords) {
        const [password, decoyKeys] = await Promise.all([clearPassword(userId), madeUp.of(userId, hash)])
        return (await hashPool.scram(password, decoyKeys)) ?? decoyKeys
      }
      const answerTime = clock.sleep(keysAfterMs)
      const [account, decoyKeys] = await Promise.all([accounts.find(userId), madeUp.of(userId, hash), answerTime])
      const stored = account?.verifiers?.[hash === 'sha1' ? 'scramSha1' : 'scramSha256']
      return (stored === undefined ? undefined : parseScram(stored)) ?? decoyKeys
    },
    clearPassword,
    proven: async (userId) => {
      const account = await accounts.find(userId)
      if (account === undefined) throw badCredentials()
      return account
    },
  }
}
