/** Asks the directory for the configuration. LDAP-03, LDAP-06 */
import { type Entry, NoSuchObjectError, ResultCodeError, type SearchOptions } from 'ldapts'
import type { Clock } from '../../base/clock.ts'
import { OptionFault } from '../certificate-files.ts'
import type { Finding } from '../finding.ts'
import { connectTo, type LdapConnection } from './connection.ts'
import type { DirectoryServer } from './connection-settings.ts'
import { attributesRead, type ConfigurationEntries, type DirectoryEntry, sharedRootsAttribute } from './entries.ts'
import type { ConfigurationLocation } from './location.ts'

export interface Answer {
  readonly entries: ConfigurationEntries
  readonly warnings: readonly Finding[]
}

/** No server could be asked, or gave what was asked for; the message has the reason of each. */
export class DirectoryAway extends Error {
  override readonly name = 'DirectoryAway'
}

/** Tries every server, `rounds` times with pauses between. Rejects with DirectoryAway, and with OptionFault for files that options name. */
export const readEntries = async (location: ConfigurationLocation, rounds: number, clock: Clock): Promise<Answer> => {
  const { servers, retryPauseMs } = location.connection
  for (let round = 1; ; round++) {
    const reasons: string[] = []
    for (const server of servers)
      try {
        return await readFrom(server, location)
      } catch (error) {
        if (error instanceof OptionFault) throw error
        reasons.push(`${server.url}: ${inOneLine(error)}`)
      }
    if (round >= rounds) throw new DirectoryAway(reasons.join('; '))
    await clock.sleep(retryPauseMs)
  }
}

const readFrom = async (server: DirectoryServer, location: ConfigurationLocation): Promise<Answer> => {
  const connection = await connectTo(server, location.connection, 'as-wherry')
  try {
    return await readWith(connection, location)
  } finally {
    connection.close()
  }
}

const readWith = async (connection: LdapConnection, location: ConfigurationLocation): Promise<Answer> => {
  const { serverDn, dsaDn, dsaIsNamed } = location
  const warnings: Finding[] = []
  const warn = (option: Finding['option'], dn: string, message: string) =>
    warnings.push({ severity: 'warning', file: dn, line: undefined, option, message })

  const server = await readOne(connection, serverDn, attributesRead.server)
  if (server === undefined) throw new Error(`there is no entry ${serverDn} (ldap_basedn), or it may not be read`)

  let dsa: DirectoryEntry | undefined
  if (dsaDn !== undefined) {
    const outcome = await refusedOr(readOne(connection, dsaDn, attributesRead.dsa))
    if (!(outcome instanceof ResultCodeError)) dsa = outcome
    if (dsa === undefined && dsaIsNamed)
      warn(
        'dsa_config_dn',
        dsaDn,
        `can't be read (${inOneLine(outcome ?? 'there is no such entry')}); it is passed over`,
      )
  }

  const below = (dn: string, objectClass: string, names: readonly string[]) =>
    refusedOr(readBelow(connection, dn, objectClass, names))
  const rootsDn = server.attributes[sharedRootsAttribute.toLowerCase()]?.[0] ?? location.sharedRootsDn
  const sharedRoots = await below(rootsDn, 'mboxSharedMailboxRoot', attributesRead.sharedRoot)
  // LDAP-04
  if (sharedRoots instanceof ResultCodeError)
    warn('ldap_shared_folders_dn', rootsDn, `can't be read (${inOneLine(sharedRoots)}); there are no shared folders`)
  // SHR-12; nobody has to have groups.
  const groups = await below(`cn=Groups,${serverDn}`, 'mboxGroup', attributesRead.group)
  return {
    entries: { server, dsa, sharedRoots: listOf(sharedRoots), groups: listOf(groups) },
    warnings,
  }
}

const listOf = <T>(found: readonly T[] | ResultCodeError): readonly T[] =>
  found instanceof ResultCodeError ? [] : found

/** The server's refusal as a value; a connection that fails is not one. */
const refusedOr = async <T>(work: Promise<T>): Promise<T | ResultCodeError> => {
  try {
    return await work
  } catch (error) {
    if (error instanceof ResultCodeError) return error
    throw error
  }
}

const readOne = async ({ client }: LdapConnection, dn: string, names: readonly string[]) => {
  try {
    const { searchEntries } = await client.search(dn, { scope: 'base', attributes: [...names] })
    const [entry] = searchEntries
    return entry === undefined ? undefined : entryOf(entry, names)
  } catch (error) {
    if (error instanceof NoSuchObjectError) return undefined
    throw error
  }
}

const readBelow = async ({ client }: LdapConnection, dn: string, objectClass: string, names: readonly string[]) => {
  const filter = `(objectClass=${objectClass})`
  const options: SearchOptions = { scope: 'sub', filter, attributes: [...names], paged: { pageSize: 500 } }
  const { searchEntries } = await client.search(dn, options)
  return searchEntries.map((entry) => entryOf(entry, names))
}

/** ldapts gives one value as itself and several as an array, text where the octets are UTF-8. */
const entryOf = (entry: Entry, names: readonly string[]): DirectoryEntry => {
  const wanted = new Set(names.map((name) => name.toLowerCase()))
  const attributes = Object.entries(entry).flatMap(([name, value]) => {
    const values = (Array.isArray(value) ? value : [value]).map(String)
    return wanted.has(name.toLowerCase()) && values.length > 0 ? [[name.toLowerCase(), values] as const] : []
  })
  return { dn: entry.dn, attributes: Object.fromEntries(attributes) }
}

const inOneLine = (error: unknown): string =>
  (error instanceof Error ? error.message : String(error))
    .replace(/\p{C}+/gu, ' ')
    .trim()
    .slice(0, 300)
