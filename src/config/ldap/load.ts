/** The configuration in the directory, or what is remembered of it. LDAP-06 to LDAP-09; docs/decisions/0075-users-in-a-directory.md tells of users */
import type { Clock } from '../../base/clock.ts'
import { type Config, findingAt } from '../config.ts'
import type { Finding } from '../finding.ts'
import { CacheFault, readCache, writeCache } from './cache.ts'
import type { ConfigurationEntries } from './entries.ts'
import type { ConfigurationLocation } from './location.ts'
import { DirectoryAway, readEntries } from './read-entries.ts'

export interface LoadedEntries {
  readonly entries: ConfigurationEntries
  /** They are remembered; the directory could not be asked. */
  readonly isCached: boolean
  readonly warnings: readonly Finding[]
}

/** The directory can't be asked, and nothing is remembered. */
export class NothingLoaded extends Error {
  override readonly name = 'NothingLoaded'
}

/**
 * `patient`: tries the list of servers ldap_connect_retries times before what is remembered counts; else once, if something is remembered.
 * Throws NothingLoaded, OptionFault.
 */
export const loadEntries = async (
  location: ConfigurationLocation,
  config: Config,
  patient: boolean,
  clock: Clock,
): Promise<LoadedEntries> => {
  const path = config.get('config_cache')
  const cached = await readCache(path, location).catch((error: unknown) => {
    if (error instanceof CacheFault) return error
    throw error
  })
  const rounds = patient || cached instanceof CacheFault ? location.connection.retries : 1
  try {
    return { ...(await readEntries(location, rounds, clock)), isCached: false }
  } catch (error) {
    if (!(error instanceof DirectoryAway)) throw error
    if (cached instanceof CacheFault)
      throw new NothingLoaded(
        `no server has given the configuration (${error.message}), and none is remembered: ${cached.message}; start the directory, or put its address right`,
        { cause: error },
      )
    const message = `no server has given the configuration (${error.message}); the one of ${cached.writtenAt.toISOString()} counts, from ${path}`
    return {
      entries: cached.entries,
      isCached: true,
      warnings: [findingAt(config, 'warning', 'config_location', message)],
    }
  }
}

/** LDAP-09: after it was found valid. Answers what an operator should know. */
export const remember = async (
  location: ConfigurationLocation,
  config: Config,
  { entries, isCached }: LoadedEntries,
): Promise<readonly Finding[]> => {
  if (isCached) return []
  const path = config.get('config_cache')
  try {
    await writeCache(path, location, entries)
    return []
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    const reason = `${path} can't be written (${code ?? message}): without it nothing starts while the directory is away; name a path in a directory of ms_user`
    return [findingAt(config, 'warning', 'config_cache', reason)]
  }
}
