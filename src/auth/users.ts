/** The accounts, asked about what a client showed or proved. */
import type { Clock } from '../base/clock.ts'
import type { UserId } from '../base/ids.ts'
import { type AccountRecord, type Accounts, openAccounts } from './accounts.ts'
import type { HashPool } from './hash-pool.ts'
import { openMadeUpKeys } from './made-up-keys.ts'
import { badCredentials } from './refusals.ts'
import type { Verified } from './verified.ts'
import { decoy, parseScram, type ScramHash, type ScramKeys } from './verifier.ts'

/** Everything throws AuthError, StoreError. */
export interface Users {
  readonly accounts: Accounts
  withPassword(userId: UserId, password: Buffer): Promise<AccountRecord>
  scramKeys(userId: UserId, hash: ScramHash): Promise<ScramKeys>
  /** Of a user who proved to be it. */
  proven(userId: UserId): Promise<AccountRecord>
}

export interface UserChecks {
  readonly hashPool: HashPool
  readonly verified: Verified
  readonly clock: Clock
}

/** The look-up of a user who exists takes longer; by then both are long done. */
const keysAfterMs = 5

/** `directory`: account_db. Does no I/O yet. */
export const openUsers = (directory: string, { hashPool, verified, clock }: UserChecks): Users => {
  const accounts = openAccounts(directory)
  const madeUp = openMadeUpKeys(directory)
  return {
    accounts,
    withPassword: async (userId, password) => {
      const account = await accounts.find(userId)
      const verifier = account?.verifiers?.scrypt ?? decoy
      if (account !== undefined && verified.has(userId, verifier, password)) return account
      const matches = await hashPool.verify(password, verifier)
      if (account === undefined || !matches) throw badCredentials()
      verified.add(userId, verifier, password)
      return account
    },
    scramKeys: async (userId, hash) => {
      // Both, whoever it is: a user who exists costs as much as one who does not.
      const answerTime = clock.sleep(keysAfterMs)
      const [account, decoyKeys] = await Promise.all([accounts.find(userId), madeUp.of(userId, hash), answerTime])
      const stored = account?.verifiers?.[hash === 'sha1' ? 'scramSha1' : 'scramSha256']
      return (stored === undefined ? undefined : parseScram(stored)) ?? decoyKeys
    },
    proven: async (userId) => {
      const account = await accounts.find(userId)
      if (account === undefined) throw badCredentials()
      return account
    },
  }
}
