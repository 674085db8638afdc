/** The accounts that a configuration names: those of a directory (LDAP) with ldapdb in auxprop_plugin, else the embedded ones. AUTH-07 */
import type { Clock } from '../base/clock.ts'
import type { Log } from '../base/log.ts'
import { OptionFault } from '../config/certificate-files.ts'
import { type Config, findingAt } from '../config/config.ts'
import { directoryOf } from '../config/directory.ts'
import { ConfigError } from '../config/finding.ts'
import { type Accounts, openAccounts } from './accounts.ts'
import { openDirectoryAccounts } from './directory/directory-accounts.ts'
import { rememberingAccounts } from './directory/user-cache.ts'
import { createHashPool, type HashPool } from './hash-pool.ts'

export interface AccountSource extends Accounts {
  /** Throws ConfigError, and goes on as before then. What is under way at a source that is named no more may fail. */
  reload(config: Config): void
}

export interface AccountSourceParts {
  readonly config: Config
  readonly log: Log
  readonly clock: Clock
  readonly hashPool?: HashPool
  /** For programs that somebody waits for: a directory that is away is asked again and again (ldap_connect_retries). */
  readonly patient?: boolean
}

interface Source {
  /** Equal for the same accounts. */
  readonly place: string
  readonly accounts: Accounts
}

/** Does no I/O yet. Throws ConfigError. */
export const openAccountSource = (parts: AccountSourceParts): AccountSource => {
  const hashPool = parts.hashPool ?? createHashPool()
  const open = (config: Config, before?: Source): Source => {
    try {
      const settings = directoryOf(config)
      const place = settings === undefined ? config.get('account_db') : JSON.stringify(settings)
      if (place === before?.place) return before
      if (settings === undefined) return { place, accounts: openAccounts(place, hashPool) }
      const directory = openDirectoryAccounts(settings, parts)
      const { cache } = settings
      return {
        place,
        accounts:
          cache === undefined ? directory : rememberingAccounts({ ...parts, ...cache, accounts: directory, hashPool }),
      }
    } catch (error) {
      if (!(error instanceof OptionFault)) throw error
      throw new ConfigError([findingAt(config, 'error', error.option, error.message)], { cause: error })
    }
  }
  let source = open(parts.config)

  return {
    find: (userId) => source.accounts.find(userId),
    findByAddress: (address) => source.accounts.findByAddress(address),
    matches: (userId, account, password) => source.accounts.matches(userId, account, password),
    clearPassword: (account) => source.accounts.clearPassword(account),
    add: (account, password) => source.accounts.add(account, password),
    put: (account, password, without) => source.accounts.put(account, password, without),
    rename: (from, to) => source.accounts.rename(from, to),
    remove: (userId) => source.accounts.remove(userId),
    list: () => source.accounts.list(),
    close: () => source.accounts.close(),
    reload: (config) => {
      const before = source
      source = open(config, before)
      if (source !== before) void before.accounts.close()
    },
  }
}
