import { describe, expect, it } from 'vitest'
import { Draft } from '#src/config/draft.ts'
import { formatFinding } from '#src/config/finding.ts'
import type { DirectoryEntry } from '#src/config/ldap/entries.ts'
import { settingsOf } from '#src/config/ldap/settings.ts'
import { parseConfig } from '#src/config/ms-conf.ts'

type Attributes = Readonly<Record<string, readonly string[]>>
const entry = (cn: string, attributes: Attributes): DirectoryEntry => ({
  dn: `cn=${cn},cn=server`,
  attributes: { cn: [cn], ...attributes },
})
const root = (access: readonly string[], more: Attributes = {}) =>
  entry('archive', { mailboxroot: ['/work/ms/shared/archive'], mboxaccesscontrollist: access, ...more })
const read = (sharedRoots: readonly DirectoryEntry[], groups: readonly DirectoryEntry[] = []) => {
  const draft = new Draft('/etc/isode/ms.conf')
  const { settings, findings } = settingsOf({
    server: { dn: 'cn=server', attributes: {} },
    dsa: undefined,
    sharedRoots,
    groups,
  })
  draft.note(...findings)
  draft.take(settings)
  const { findings: all } = draft.finish()
  return { config: draft.config, findings: all.map(formatFinding) }
}
const inFile = (body: string) =>
  parseConfig(Buffer.from(`<ms_options>${body}</ms_options>`), '/etc/isode/ms.conf').config!

describe('shared roots and groups in a directory', () => {
  it('SHR-07 SHR-08 C-33: the example of the guide is the same in both forms', () => {
    const { config, findings } = read([
      root(['anyone read,write', 'brian none', 'natalia read,write,manage'], {
        mail: ['archive@example.com'],
        description: ['Email Archive'],
      }),
    ])
    const file = inFile(`<shared_root name='archive' path='/work/ms/shared/archive' email='archive@example.com'>
      <group name='anyone' access='read,write'/><user name='brian' access='none'/><user name='natalia' access='read,write,manage'/></shared_root>`)
    expect(findings).toEqual([])
    expect(config.all('shared_root')).toEqual(file.all('shared_root'))
  })

  it('SHR-11 SHR-12: groups, their members, and their rights', () => {
    const { config, findings } = read(
      [root(['group:staff read', 'user:tim all', 'user:anyone none'])],
      [entry('staff', { mboxgroupmember: ['tim', 'kurt', 'marry@example.com'] })],
    )
    const file =
      inFile(`<group name='staff'><user name='tim'/><user name='kurt'/><user name='marry@example.com'/></group>
      <shared_root name='archive' path='/work/ms/shared/archive'>
      <group name='staff' access='read'/><user name='tim' access='all'/><user name='anyone' access='none'/></shared_root>`)
    expect(findings).toEqual([])
    expect(config.all('group')).toEqual(file.all('group'))
    expect(config.all('shared_root')).toEqual(file.all('shared_root'))
  })

  it.each([
    ['group:Sales People READ, Write', { kind: 'group', name: 'Sales People', access: ['read', 'write'] }],
    ['  joe@example.com   manage ', { kind: 'user', name: 'joe@example.com', access: ['manage'] }],
    ['group:anyone read', { kind: 'group', name: 'anyone', access: ['read'] }],
  ])('SHR-07: %j', (value, access) => {
    expect(read([root([value])]).config.get('shared_root')?.access).toEqual([access])
  })

  it.each([
    [root(['joe']), 'mboxAccessControlList: "joe" is not a name, a blank and rights'],
    [root(['']), 'mboxAccessControlList: "" is not'],
    [root(['joe fly']), 'access fly is none of none, read, write, manage, all'],
    [root(['joe read'], { mailboxroot: [] }), 'lacks the attribute path'],
    [root(['joe read'], { mboxfolderstatus: ['Gone'] }), 'mboxFolderStatus: "Gone" is neither Active nor Deleted'],
    [root(['joe read'], { cn: ['a', 'b'] }), 'cn: has several values'],
    // SHR-04
    [root(['group:a read', 'group:b read']), 'names 2 groups'],
    [root(['group:nobody read']), 'names the group nobody, which is not defined'],
  ])('what is wrong names the entry', (shared, message) => {
    const { findings } = read([shared], [entry('a', {}), entry('b', {})])
    expect(findings.join('\n')).toContain(message)
    expect(findings.join('\n')).toContain('cn=archive,cn=server')
  })

  it('SHR-11: anyone is no group of the administrator, and groups hold no groups', () => {
    expect(read([], [entry('anyone', {})]).findings.join()).toContain('anyone means everybody already')
    expect(read([], [entry('a', { mboxgroupmember: ['the group b'] })]).findings.join()).toContain(
      'a group holds users only',
    )
  })

  it('SHR-10: a root that is Deleted is nobody’s, one that is Active or says nothing is there', () => {
    const status = (...values: readonly string[]) =>
      read([root(['joe read'], values.length > 0 ? { mboxfolderstatus: values } : {})])
    expect(status().config.all('shared_root')).toHaveLength(1)
    expect(status('active').config.all('shared_root')).toHaveLength(1)
    const { config, findings } = status('Deleted')
    expect(config.all('shared_root')).toEqual([])
    expect(findings).toEqual([expect.stringContaining('mboxFolderStatus: is Deleted: nobody sees the folder')])
  })
})
