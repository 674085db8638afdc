/** Shared roots and groups of ms.conf. SHR-01, SHR-04, SHR-11 */
import { describe, expect, it } from 'vitest'
import { parseConfig } from '#src/config/ms-conf.ts'

const staff = '<group name="staff" type="whatever"><user name="tim"/><user name="ann@b.example"/></group>'
const read = (body: string) => parseConfig(Buffer.from(`<ms_options>${body}</ms_options>`), '/etc/example/ms.conf')
const errors = (body: string) =>
  read(body).findings.flatMap(({ severity, message }) => (severity === 'error' ? [message] : []))
const root = (name: string, path: string, access = '', email = `${name}@a.example`) =>
  `<shared_root name='${name}' path='${path}' email='${email}'>${access}</shared_root>`

describe('shared folders', () => {
  it('are taken with access lists; SHR-11: the type of a group has no effect', () => {
    const access =
      "<user name='brian' access=''/><group name='staff' access='read, write'/><group name='anyone' access='read'/>"
    const { config, findings } = read(staff + root('Team', 'team', access) + root('Other', '/srv/other'))
    expect(findings).toEqual([])
    expect(config?.all('group')).toEqual([{ name: 'staff', users: ['tim', 'ann@b.example'] }])
    expect(config?.all('shared_root').map(({ name }) => name)).toEqual(['Team', 'Other'])
  })

  it.each([
    ['SHR-01', root('Team', 'a', '', 'x@a') + root('Team', 'b', '', 'y@a'), 'the name Team is there twice'],
    ['addresses', root('A', 'a', '', 'x@a') + root('B', 'b', '', 'X@a'), 'the address x@a is there twice'],
    ['SHR-01', root('A', 'a') + root('B', '/var/isode/ms/shared/a'), 'are the same, or one is inside the other'],
    ['SHR-01', root('A', 'a') + root('B', 'a/b'), 'are the same, or one is inside the other'],
    ['SHR-01', root('A', '/var/isode/ms/user/a'), 'are the same, or one is inside the other'],
    ['SHR-01', "<shared_root path='a'/>", 'lacks the attribute name'],
    ['SHR-01', "<shared_root name='A'/>", 'lacks the attribute path'],
    ['names', root('A/B', 'a'), 'has a slash'],
    [
      'SHR-04',
      `${staff}<group name="board"/>${root('A', 'a', "<group name='staff' access='read'/><group name='board'/>")}`,
      'names 2 groups',
    ],
    ['SHR-04', root('A', 'a', "<group name='staff' access='read'/>"), 'the group staff, which is not defined'],
    ['SHR-06', root('A', 'a', "<user name='tim' access='look'/>"), 'access look is none of'],
    ['SHR-03', root('A', 'a', "<user name='tim'/><user name='tim' access='all'/>"), 'names the user tim twice'],
    ['SHR-03', root('A', 'a', "<user name='t i m'/>"), '"t i m" in A is no user id'],
    ['SHR-11', '<group name="anyone"/>', 'anyone means everybody already'],
    ['SHR-11', '<group name="staff"/><group name="staff"/>', 'staff is there twice'],
    ['SHR-11', '<group name="all"><group name="staff"/></group>', 'has an element <group> inside'],
    ['SHR-11', '<group name="all"><user name="a b"/></group>', 'is no user id; a group holds users only'],
  ])('%s: %s is refused', (_, body, message) => {
    expect(errors(body)).toEqual([expect.stringContaining(message)])
  })
})
