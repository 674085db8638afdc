/**
 * What is remembered of users whom the directory let in, for the time when none of its servers can be asked: the record, and a verifier of the password.
 * Files as in the embedded account database, shared by all processes of the machine. AUTH-16, administration guide appendix E
 *
 * The directory's word counts whenever it gives one: whom it does not know is forgotten, and so is a password that it refuses. With userdb_lookup
 * before ldapdb, a user remembered some minutes ago is not asked about.
 */
import { createHmac, randomBytes } from 'node:crypto'
import type { Clock } from '../../base/clock.ts'
import { StoreError } from '../../base/errors.ts'
import type { UserId } from '../../base/ids.ts'
import type { Log } from '../../base/log.ts'
import { type AccountRecord, type Accounts, openAccounts } from '../accounts.ts'
import type { HashPool } from '../hash-pool.ts'

export interface RememberingParts {
  /** Those of the directory. */
  readonly accounts: Accounts
  readonly directory: string
  readonly days: number
  readonly askedFirst: boolean
  readonly hashPool: HashPool
  readonly clock: Clock
  readonly log: Log
}

/** How old a memory may be that is asked before the directory. */
const freshMs = 5 * 60_000
/** A login with the same password is not written again for so long. */
const rewriteMs = 60 * 60_000
const maxWritten = 10_000
const dayMs = 24 * 60 * 60_000

export const rememberingAccounts = (parts: RememberingParts): Accounts => {
  const { accounts, days, askedFirst, hashPool, clock, log } = parts
  const memory = openAccounts(parts.directory, hashPool)
  const remembered = new WeakSet<AccountRecord>()
  /** Macs of passwords that this process wrote: what is the same as before costs no hashing. The key dies with the process. */
  const written = new Map<UserId, { readonly mac: string; readonly at: number }>()
  const key = randomBytes(32)
  const macOf = (password: Buffer) => createHmac('sha256', key).update(password).digest('base64')
  const underWay = new Set<Promise<void>>()

  const recall = async (userId: UserId, maxAgeMs: number): Promise<AccountRecord | undefined> => {
    try {
      const account = await memory.find(userId)
      const age = clock.now() - (account?.confirmedAt ?? Number.NEGATIVE_INFINITY)
      if (account === undefined || age > maxAgeMs || age < -dayMs) return undefined
      remembered.add(account)
      return account
    } catch (error) {
      if (!(error instanceof StoreError)) throw error
      log.log('warning', 'what is remembered of a user can not be read', { user: userId, reason: error.message })
      return undefined
    }
  }

  const forget = async (userId: UserId): Promise<void> => {
    written.delete(userId)
    await memory.remove(userId).catch((error: Error) => {
      if (!(error instanceof StoreError)) throw error
      if (error.kind !== 'not-found')
        log.log('err', 'a user can not be forgotten', { user: userId, reason: error.message })
    })
  }

  /** Once a day: those who never came again. */
  let swept = Number.NEGATIVE_INFINITY
  const sweep = async (): Promise<void> => {
    const now = clock.now()
    if (now - swept < dayMs) return
    swept = now
    for await (const { userId, confirmedAt = 0 } of memory.list())
      if (now - confirmedAt > days * dayMs) await forget(userId)
  }

  const remember = async (account: AccountRecord, password: Buffer): Promise<void> => {
    const [mac, last, at] = [macOf(password), written.get(account.userId), clock.now()]
    if (last?.mac === mac && at - last.at < (askedFirst ? freshMs : rewriteMs)) return
    written.delete(account.userId)
    written.set(account.userId, { mac, at })
    if (written.size > maxWritten) written.delete(written.keys().next().value!)
    try {
      await memory.put({ ...account, confirmedAt: at }, password)
      await sweep()
    } catch (error) {
      written.delete(account.userId)
      log.log('warning', 'a user can not be remembered', { user: account.userId, reason: (error as Error).message })
    }
  }

  /** Behind the login, which does not wait for it. */
  const later = (work: Promise<void>) => {
    const tracked = work.finally(() => underWay.delete(tracked))
    underWay.add(tracked)
  }

  const find = async (userId: UserId): Promise<AccountRecord | undefined> => {
    const fresh = askedFirst ? await recall(userId, freshMs) : undefined
    if (fresh !== undefined) return fresh
    try {
      const account = await accounts.find(userId)
      if (account === undefined) await forget(userId)
      return account
    } catch (error) {
      if (!(error instanceof StoreError) || error.kind !== 'unavailable') throw error
      const old = await recall(userId, days * dayMs)
      if (old === undefined) throw error
      log.log('notice', 'the directory is away: a user is taken as remembered', { user: userId })
      return old
    }
  }

  const askDirectory = async (userId: UserId, account: AccountRecord | undefined, password: Buffer) => {
    const matches = await accounts.matches(userId, account, password)
    if (matches && account !== undefined) later(remember(account, Buffer.from(password)))
    if (matches || account === undefined) return matches
    // Only who knows the old password makes it forgotten: a guess must not take a user's memory away.
    const old = await recall(account.userId, days * dayMs)
    if (old !== undefined && (await memory.matches(userId, old, password))) await forget(account.userId)
    return false
  }

  const matches: Accounts['matches'] = async (userId, account, password) => {
    if (account !== undefined && remembered.has(account)) {
      if (await memory.matches(userId, account, password)) return true
      if (!askedFirst) return false
      // Changed a moment ago, perhaps.
      try {
        return await askDirectory(userId, await accounts.find(userId), password)
      } catch (error) {
        if (error instanceof StoreError && error.kind === 'unavailable') return false
        throw error
      }
    }
    try {
      return await askDirectory(userId, account, password)
    } catch (error) {
      // It went away between the two questions.
      if (account === undefined || !(error instanceof StoreError) || error.kind !== 'unavailable') throw error
      const old = await recall(account.userId, days * dayMs)
      if (old === undefined) throw error
      return memory.matches(userId, old, password)
    }
  }

  const forgotten = async (userId: UserId, change: Promise<void>) => {
    await change
    await forget(userId)
  }
  const clearPassword: Accounts['clearPassword'] = (account) => {
    if (remembered.has(account)) throw new StoreError('unavailable', 'what is remembered of a user has no password')
    return accounts.clearPassword(account)
  }
  return {
    clearPassword,
    find,
    findByAddress: (address) => accounts.findByAddress(address),
    matches,
    add: (account, password) => forgotten(account.userId, accounts.add(account, password)),
    put: (account, password, without) => forgotten(account.userId, accounts.put(account, password, without)),
    rename: async (from, to) => {
      await forgotten(from, accounts.rename(from, to))
      await forget(to)
    },
    remove: (userId) => forgotten(userId, accounts.remove(userId)),
    list: () => accounts.list(),
    close: async () => {
      await Promise.all([...underWay])
      await accounts.close()
    },
  }
}
