import { expect, test } from 'vitest'
import { SyntaxFault } from '#src/base/errors.ts'
import type { UserId } from '#src/base/ids.ts'
import { configOf } from '#src/config/config.ts'
import { type Acl, rightsIn } from '#src/sharing/acl.ts'
import { canonicalIdentifier } from '#src/sharing/personal-acl.ts'
import { formatRights, formatWithVirtual, parseRights, withLookup } from '#src/sharing/rights.ts'
import { sharingOf } from '#src/sharing/sharing.ts'

const acl = (entries: Readonly<Record<string, string>>): Acl =>
  new Map(Object.entries(entries).map(([who, rights]) => [who, parseRights(rights)]))
const brian = (...groups: string[]) => ({ userId: 'brian@example.org', groups: new Set(groups) })

test('RFC 4314 §2.1.1: the rights of RFC 2086 are taken apart, and told with their members', () => {
  expect(formatRights(parseRights('lrswida'))).toBe('lrswitea')
  expect(formatRights(parseRights('c'))).toBe('kx')
  expect(formatWithVirtual(parseRights('lrswite'))).toBe('lrswited')
  expect(formatWithVirtual(parseRights('lk'))).toBe('lkc')
  expect(formatWithVirtual(parseRights('lr'))).toBe('lr')
  expect(() => parseRights('lq')).toThrow(SyntaxFault)
})

test('ACL-02: any right implies l', () => {
  for (const right of 'rswipkxte') expect(formatRights(withLookup(parseRights(right)))).toBe(`l${right}`)
  expect(withLookup(parseRights('')).size).toBe(0)
})

test.for([
  ['nobody', {}, ''],
  ['his own entry', { 'brian@example.org': 'lr', 'group:staff': 'lrs', anyone: 'lrswi' }, 'lr'],
  ['his group', { 'group:staff': 'lrs', anyone: 'lrswi' }, 'lrs'],
  ['all of his groups', { 'group:staff': 'lr', 'group:board': 'li', anyone: 'lx' }, 'lri'],
  ['another group', { 'group:others': 'lrs', anyone: 'lr' }, 'lr'],
  ['somebody else', { 'natalia@example.org': 'lrs' }, ''],
  ['l implied', { 'brian@example.org': 'r' }, 'lr'],
  ['less for him', { anyone: 'lrswi', '-brian@example.org': 'w' }, 'lrsi'],
  ['less for his group', { 'brian@example.org': 'lrswi', '-group:staff': 'si' }, 'lrw'],
  ['less for anyone', { 'brian@example.org': 'lrswi', '-anyone': 's' }, 'lrwi'],
  ['less for somebody else', { anyone: 'lr', '-natalia@example.org': 'r' }, 'lr'],
  ['nothing without l', { anyone: 'lrswi', '-brian@example.org': 'l' }, ''],
] as const)('MST-06, SHR-03: rights when the list tells of %s', ([, entries, expected]) => {
  expect(formatRights(rightsIn(acl(entries), brian('staff', 'board')))).toBe(expected)
})

test('identifiers are kept in one form', () => {
  const canonical = (given: string) => canonicalIdentifier(given, 'example.org')
  expect(canonical('brian')).toBe('brian@example.org')
  expect(canonical('-brian@EXAMPLE.org')).toBe('-brian@example.org')
  expect(canonical('Anyone')).toBe('anyone')
  expect(canonical('group:staff')).toBe('group:staff')
  for (const none of ['', '-', 'a b', '--brian', 'group:']) expect(() => canonical(none), none).toThrow(SyntaxFault)
})

const root = (access: readonly (readonly ['user' | 'group', string, string])[]) => ({
  name: 'Team',
  path: 'team',
  email: undefined,
  access: access.map(([kind, name, words]) => ({ kind, name, access: words === '' ? [] : words.split(',') })),
})

const rightsOn = (user: string, access: Parameters<typeof root>[0], ...members: readonly string[]) => {
  const sharing = sharingOf(
    configOf({
      domain: 'example.org',
      admin_user: 'boss',
      shared_root: root(access),
      group: { name: 'staff', users: members },
    }),
  )
  return formatRights(sharing.trees[0]!.rightsOf(sharing.identityOf(`${user}@example.org` as UserId)))
}

test.for([
  ['read', 'lr'],
  ['write', 'lswite'],
  ['manage', 'lkx'],
  ['read,write', 'lrswite'],
  ['read,write,manage', 'lrswikxte'],
  ['none', ''],
  ['', ''],
] as const)('SHR-06: %s', ([words, expected]) => {
  expect(rightsOn('brian', [['user', 'brian', words]])).toBe(expected)
})

test('SHR-06: all is everything but a, which nobody has on a shared folder', () => {
  expect(rightsOn('brian', [['user', 'brian', 'all']])).toBe('lrswipkxte')
})

test('SHR-08: the example of the guide', () => {
  const access = [
    ['group', 'anyone', 'read,write'],
    ['user', 'brian', ''],
    ['user', 'natalia', 'read,write,manage'],
  ] as const
  expect(rightsOn('brian', access)).toBe('')
  expect(rightsOn('natalia', access)).toBe('lrswikxte')
  expect(rightsOn('tim', access)).toBe('lrswite')
})

test('SHR-03, SHR-05, SHR-11: own element, then group, then anyone; one that denies counts', () => {
  const access = [
    ['group', 'anyone', 'read'],
    ['group', 'staff', 'none'],
    ['user', 'tim', 'write'],
  ] as const
  expect(rightsOn('tim', access, 'tim', 'brian')).toBe('lswite')
  expect(rightsOn('brian', access, 'tim', 'brian')).toBe('')
  expect(rightsOn('natalia', access, 'tim', 'brian')).toBe('lr')
})

test('SHR-13: the administrator may make folders whatever the list says', () => {
  expect(rightsOn('boss', [['group', 'anyone', 'read']])).toBe('lrswipkxte')
})

test('SHR-14: a path that is not absolute is below shared_root_dir', () => {
  const at = (path: string) =>
    sharingOf(configOf({ domain: 'example.org', shared_root_dir: '/srv/shared', shared_root: { ...root([]), path } }))
      .trees[0]!.directory
  expect(at('team')).toBe('/srv/shared/team')
  expect(at('/mnt/team')).toBe('/mnt/team')
})
