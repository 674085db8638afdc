/** Entries of shared roots and groups as the elements `shared_root` and `group` of ms.conf. SHR-07, SHR-10, SHR-12; administration guide 5 */
import type { Setting } from '../draft.ts'
import type { Finding } from '../finding.ts'
import { quote } from '../option.ts'
import type { XmlElement } from '../xml.ts'
import { type EntrySettings, elementOf } from './element.ts'
import type { ConfigurationEntries, DirectoryEntry } from './entries.ts'

export const sharedFolderSettings = ({ sharedRoots, groups }: ConfigurationEntries): EntrySettings => {
  const findings: Finding[] = []
  const report = (severity: Finding['severity'], dn: string, attribute: string, message: string) =>
    findings.push({ severity, file: dn, line: undefined, option: undefined, attribute, message })

  const rootOf = ({ dn, attributes }: DirectoryEntry): readonly Setting[] => {
    // SHR-10
    const [status = 'Active'] = attributes.mboxfolderstatus ?? []
    if (status.toLowerCase() === 'deleted') {
      report(
        'warning',
        dn,
        'mboxFolderStatus',
        'is Deleted: nobody sees the folder; its directory stays on disk until it is removed',
      )
      return []
    }
    if (status.toLowerCase() !== 'active')
      report('error', dn, 'mboxFolderStatus', `${quote(status)} is neither Active nor Deleted`)
    const access = (attributes.mboxaccesscontrollist ?? []).flatMap((value): XmlElement[] => {
      const words = value
        .trim()
        .replaceAll(/\s*,\s*/g, ',')
        .split(/\s+/)
      const rights = words.pop() ?? ''
      if (words.length === 0) {
        const message = `${quote(value)} is not a name, a blank and rights with commas between, as natalia read,write`
        report('error', dn, 'mboxAccessControlList', message)
        return []
      }
      const [, prefix, name = ''] = /^(?:(user|group):)?(.*)$/is.exec(words.join(' ')) ?? []
      const kind = prefix?.toLowerCase() ?? (name === 'anyone' ? 'group' : 'user')
      return [elementOf(kind, '', { name, access: rights.toLowerCase() })]
    })
    const [email] = attributes.mail ?? []
    const element = elementOf(
      'shared_root',
      '',
      {
        name: nameOf({ dn, attributes }),
        path: attributes.mailboxroot?.[0] ?? '',
        ...(email !== undefined && { email }),
      },
      access,
    )
    return [{ name: 'shared_root', element, place: { source: dn, attribute: 'mboxSharedMailboxRoot' } }]
  }

  const groupOf = ({ dn, attributes }: DirectoryEntry): Setting => {
    const users = (attributes.mboxgroupmember ?? []).map((name) => elementOf('user', '', { name }))
    const element = elementOf('group', '', { name: nameOf({ dn, attributes }) }, users)
    return { name: 'group', element, place: { source: dn, attribute: 'mboxGroup' } }
  }

  /** C-05: users see the cn. */
  const nameOf = ({ dn, attributes }: DirectoryEntry): string => {
    const [name = '', ...more] = attributes.cn ?? []
    if (more.length > 0) report('error', dn, 'cn', 'has several values; leave one')
    return name
  }
  return { settings: [...sharedRoots.flatMap(rootOf), ...groups.map(groupOf)], findings }
}
