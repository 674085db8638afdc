/** Who is meant by the entries of access lists. */
import { expect, test } from 'vitest'
import type { UserId } from '#src/base/ids.ts'
import { configOf } from '#src/config/config.ts'
import { type Acl, rightsIn } from '#src/sharing/acl.ts'
import { formatRights, parseRights } from '#src/sharing/rights.ts'
import { sharingOf } from '#src/sharing/sharing.ts'

const rightsOf = (acl: Acl, userId: string, groups: string[] = []) =>
  formatRights(rightsIn(acl, { userId: userId as UserId, groups: new Set(groups) }))

test('a user whose id looks like a negative identifier or a group has not the rights of those', () => {
  const acl = new Map([
    ['-bob@x.example', parseRights('rswite')],
    ['group:staff@x.example', parseRights('lrs')],
    ['bob@x.example', parseRights('lrs')],
  ])
  expect(rightsOf(acl, '-bob@x.example')).toBe('')
  expect(rightsOf(acl, 'group:staff@x.example')).toBe('')
  expect(rightsOf(acl, 'bob@x.example')).toBe('l')
  expect(rightsOf(acl, 'eve@x.example', ['staff@x.example'])).toBe('lrs')
  const open = new Map([['anyone', parseRights('lr')]])
  expect(rightsOf(open, '-bob@x.example')).toBe('lr')
})

test('nor does an entry for such a user take or give rights of others, in a shared root', () => {
  const { trees } = sharingOf(
    configOf({
      domain: 'x.example',
      shared_root: [
        {
          name: 'team',
          path: 'team',
          email: undefined,
          access: [
            { kind: 'user', name: '-bob', access: ['all'] },
            { kind: 'user', name: 'group:staff@x.example', access: ['all'] },
            { kind: 'group', name: 'anyone', access: ['read'] },
          ],
        },
      ],
    }),
  )
  const rights = (userId: string, groups: string[] = []) =>
    formatRights(trees[0]!.rightsOf({ userId: userId as UserId, groups: new Set(groups) }))
  expect(rights('bob@x.example')).toBe('lr')
  expect(rights('-bob@x.example')).toBe('lr')
  expect(rights('eve@x.example', ['staff@x.example'])).toBe('lr')
})
