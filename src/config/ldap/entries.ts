/** What is read of the directory for the configuration, as it is kept in the cache too. */
import { optionNames, optionOf } from '../options.ts'

export interface DirectoryEntry {
  readonly dn: string
  /** By name in lower case; only attributes that mean something here. */
  readonly attributes: Readonly<Record<string, readonly string[]>>
}

export interface ConfigurationEntries {
  readonly server: DirectoryEntry
  /** The directory server's own. */
  readonly dsa: DirectoryEntry | undefined
  readonly sharedRoots: readonly DirectoryEntry[]
  readonly groups: readonly DirectoryEntry[]
}

/** Options without a name of their own in the directory: what the manual calls them in ms.conf. C-34 */
const searchAttributes = [
  'saslSearchSuffix',
  'saslDCMappingSuffix',
  'saslDefaultDomain',
  'saslUsernameAttribute',
  'saslDomainAttribute',
]
export const sharedRootsAttribute = 'mboxSharedRootsDN'

const optionAttributes = [
  ...new Set(
    optionNames.flatMap((name) => optionOf(name).ldap?.split(', ') ?? []).filter((name) => name !== 'mboxGroup'),
  ),
]

/** Asked for, and kept, of each kind of entry. */
export const attributesRead = {
  server: [...optionAttributes, ...searchAttributes],
  dsa: [...optionAttributes.filter((name) => name.startsWith('sasl')), ...searchAttributes],
  sharedRoot: ['cn', 'mailboxRoot', 'mail', 'description', 'mboxAccessControlList', 'mboxFolderStatus'],
  group: ['cn', 'mboxGroupMember'],
} as const
