/** What has to hold between shared roots and groups. Administration guide 5 */
import { resolve } from 'node:path'
import type { Config } from './config.ts'
import type { SharedRoot } from './options/shared-folders.ts'

export interface SharingFault {
  readonly option: 'shared_root' | 'group'
  readonly message: string
}

/** Everybody is in it, without being named. */
const builtInGroup = 'anyone'

export const checkSharedFolders = (config: Config): readonly SharingFault[] => {
  const [roots, groups] = [config.all('shared_root'), config.all('group')]
  const faults: SharingFault[] = []
  const error = (option: SharingFault['option'], message: string) => faults.push({ option, message })
  const names = new Set(groups.map(({ name }) => name))

  // SHR-11
  for (const { name, users } of groups) {
    if (name === builtInGroup) error('group', `${builtInGroup} means everybody already; give the group another name`)
    for (const user of users)
      if (!canBeUser(user)) error('group', `"${user}" in the group ${name} is no user id; a group holds users only`)
  }
  for (const name of repeated(groups.map(({ name }) => name))) error('group', `${name} is there twice; make them one`)

  // SHR-01
  for (const name of repeated(roots.map(({ name }) => name)))
    error('shared_root', `the name ${name} is there twice; each root has one of its own`)
  const emails = roots.flatMap(({ email }) => email?.toLowerCase() ?? [])
  for (const email of repeated(emails))
    error('shared_root', `the address ${email} is there twice; a message goes to one root`)
  const directories = roots.map(({ path }) => resolve(config.get('shared_root_dir'), path))
  const mail = [config.get('userdir'), ...config.all('partitions'), ...config.all('archives')]
  for (const [index, directory] of directories.entries())
    for (const other of [...mail, ...directories.slice(0, index)])
      if (`${directory}/`.startsWith(`${other}/`) || `${other}/`.startsWith(`${directory}/`))
        error('shared_root', `${directory} and ${other} are the same, or one is inside the other; give each its own`)
  for (const root of roots) faultsOf(root, names).forEach((message) => void error('shared_root', message))
  return faults
}

function faultsOf({ name, access }: SharedRoot, groups: ReadonlySet<string>): readonly string[] {
  const faults: string[] = []
  if (/[/%*\p{C}]/u.test(name)) faults.push(`the name "${name}" has a slash, a wildcard or a control character`)
  const named = access.filter(({ kind, name }) => kind === 'group' && name !== builtInGroup)
  // SHR-04
  if (named.length > 1)
    faults.push(`${name} names ${named.length} groups; an access list has one besides ${builtInGroup} at most`)
  for (const group of named)
    if (!groups.has(group.name)) faults.push(`${name} names the group ${group.name}, which is not defined`)
  for (const who of repeated(access.map(({ kind, name }) => `${kind} ${name}`)))
    faults.push(`${name} names the ${who} twice; make them one`)
  for (const { kind, name: user } of access)
    if (kind === 'user' && !canBeUser(user)) faults.push(`"${user}" in ${name} is no user id`)
  return faults
}

const canBeUser = (name: string) => /^[^@\p{C}\p{Z}]+(?:@[^@\p{C}\p{Z}]+)?$/u.test(name)

const repeated = (names: readonly string[]) => new Set(names.filter((name, index) => names.indexOf(name) !== index))
