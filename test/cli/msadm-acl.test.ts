/** msadm acl. ACL-01 to ACL-05 */
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { systemClock } from '#src/base/clock.ts'
import type { UserId } from '#src/base/ids.ts'
import { silentLog } from '#src/base/log.ts'
import { configOf } from '#src/config/config.ts'
import { Hierarchy } from '#src/sharing/hierarchy.ts'
import { formatRights } from '#src/sharing/rights.ts'
import { sharingOf } from '#src/sharing/sharing.ts'
import { openStore } from '#src/store/store.ts'
import { fill, newPlace } from './support.ts'

const joe = 'joe@a.example'
const made = async (more = '') => {
  const place = await newPlace(more)
  await place.mail(joe, async (account) => {
    await account.ensure()
    await account.create('Plans')
  })
  return place
}

describe('msadm acl', () => {
  it('ACL-01, ACL-02, ACL-05: gives rights, and lists them', async () => {
    const { call, directory } = await made()
    await call(['add', '-d', 'ann'])
    expect(await call(['acl', 'set', 'joe', 'Plans', 'ann', 'rs'])).toEqual({
      status: 0,
      out: 'ann@a.example lrs\n',
      err: '',
    })
    // Replaced, not added to.
    expect((await call(['acl', 'set', 'joe', 'Plans', 'ann', 'wite'])).out).toBe('ann@a.example lwite\n')
    await call(['acl', 'set', 'joe', 'Plans', 'anyone', 'r'])
    await call(['acl', 'set', 'joe', 'Plans', '-eve@b.example', 'l'])
    expect((await call(['acl', 'list', 'joe', 'Plans'])).out).toBe(
      'joe@a.example lrswipkxtea\nann@a.example lwite\nanyone lr\n-eve@b.example l\n',
    )
    expect((await call(['acl', 'list', 'joe', 'Plans', 'ann'])).out).toBe('ann@a.example lwite\n')
    expect((await call(['acl', 'list', 'joe', 'Plans', 'tim'])).out).toBe('tim@a.example lr\n')
    expect((await call(['acl', 'list', 'joe', 'Plans', 'eve@b.example'])).out).toBe('eve@b.example none\n')
    expect((await call(['acl', 'list', 'joe', 'Plans', 'joe'])).out).toBe('joe@a.example lrswipkxtea\n')
    expect(JSON.parse((await call(['--json', 'acl', 'list', 'joe', 'Plans', 'ann'])).out)).toEqual({
      owner: joe,
      mailbox: 'Plans',
      identifier: 'ann@a.example',
      rights: 'lwite',
    })
    // What a session of another process makes of it.
    await using store = openStore({ root: join(directory, 'user'), clock: systemClock, log: silentLog })
    const ann = new Hierarchy('ann@a.example' as UserId, store, () => sharingOf(configOf()), silentLog)
    expect((await ann.listOthers()).map(({ name }) => name)).toContain(`Other Users/${joe}/Plans`)
    expect(formatRights((await ann.permit(`Other Users/${joe}/Plans`)).rights)).toBe('lwite')
  })

  it('ACL-04: takes the rights of one or of all, and changes nothing for one that has none', async () => {
    const { call } = await made('<group name="staff"><user name="tim"/></group>')
    for (const who of ['ann', 'group:staff', 'anyone']) await call(['acl', 'set', 'joe', 'Plans', who, 'lr'])
    expect((await call(['acl', 'list', 'joe', 'Plans', 'tim'])).out).toBe('tim@a.example lr\n')
    expect(await call(['acl', 'delete', 'joe', 'Plans', 'eve'])).toEqual({ status: 0, out: '', err: '' })
    expect((await call(['acl', 'list', 'joe', 'Plans'])).out.split('\n')).toHaveLength(5)
    expect(await call(['acl', 'delete', 'joe', 'Plans', 'ann'])).toEqual({ status: 0, out: '', err: '' })
    expect((await call(['acl', 'list', 'joe', 'Plans'])).out).toBe(
      'joe@a.example lrswipkxtea\ngroup:staff lr\nanyone lr\n',
    )
    expect(await call(['acl', 'delete', 'joe', 'Plans'])).toEqual({ status: 0, out: '', err: '' })
    expect((await call(['acl', 'list', 'joe', 'Plans'])).out).toBe('joe@a.example lrswipkxtea\n')
  })

  it('says what it can’t do, ACL-03 among that', async () => {
    const { call } = await made()
    for (const [args, status, text] of [
      [['acl'], 64, 'list, set or delete is needed'],
      [['acl', 'give', 'joe', 'Plans', 'ann', 'lr'], 64, 'list, set or delete is needed'],
      [['acl', 'list', 'joe'], 64, 'words are missing: acl list owner mailbox [userid]'],
      [['acl', 'set', 'joe', 'Plans', 'ann'], 64, 'words are missing: acl set owner mailbox userid rights'],
      [['acl', 'delete', 'joe', 'Plans', 'ann', 'lr'], 64, '"lr" is one word too many'],
      [['acl', 'set', 'joe', 'Plans', 'ann', ''], 64, 'the rights are empty'],
      [['acl', 'set', 'joe', 'Plans', 'ann', 'lrz'], 1, '"z" is no right'],
      [['acl', 'set', 'joe', 'Plans', 'ann', 'lra'], 1, 'The right "a" belongs to the owner'],
      [['acl', 'set', 'joe', 'Plans', 'joe', 'lr'], 1, 'The owner always has all rights'],
      [['acl', 'set', 'joe', 'Plans', 'a b', 'lr'], 1, 'a user id has no blanks'],
      [['acl', 'list', 'joe', 'Nothing'], 1, 'joe@a.example has no mailbox "Nothing"'],
      [['acl', 'list', 'tim', 'INBOX'], 1, 'there is no mail of tim@a.example'],
    ] as const)
      expect(await call(args), args.join(' ')).toMatchObject({ status, err: expect.stringContaining(text) })
    expect((await call(['acl', 'list', 'joe', 'inbox'])).status).toBe(0)
    expect((await call(['acl', 'list', 'joe', 'Plans'])).out).toBe('joe@a.example lrswipkxtea\n')
  })

  it('tells of a name that nobody has, and gives it the rights', async () => {
    const { call } = await made()
    expect(await call(['acl', 'set', 'joe', 'Plans', 'anm', 'lr'])).toEqual({
      status: 0,
      out: 'anm@a.example lr\n',
      err: 'msadm: anm@a.example is not known here, and has the rights when it comes\n',
    })
    expect((await call(['acl', 'set', 'joe', 'Plans', 'group:board', 'lr'])).err).toContain('group:board is not known')
  })

  it('has help with examples', async () => {
    const { call } = await made()
    expect((await call(['acl', '--help'])).out).toContain('msadm acl set joe@example.org Plans ann@example.org lrs')
    expect((await call(['--completion', 'bash'])).out).toContain('acl')
  })
})

it('LMTP-10, SHR-09: msadm deliver puts a message into a shared root, or a mailbox below it', async () => {
  const { call, directory } = await newPlace(
    "<shared_root_dir>shared</shared_root_dir><shared_root name='Archive' path='archive' email='archive@a.example'/><quota_messages>1</quota_messages>",
  )
  const deliver = async (address: string) => (await call(['deliver', address], 'Subject: x\n\nx\n')).out
  expect(await deliver('archive@a.example')).toBe('Shared Folders/Archive: 1\n')
  await using store = openStore({ root: join(directory, 'user'), clock: systemClock, log: silentLog })
  await store.tree('Archive', join(directory, 'shared/archive')).create('leads/john')
  expect(await deliver('archive+leads/john@a.example')).toBe('Shared Folders/Archive/leads/john: 1\n')
  // One that is not there, and one that can't be: the message is not lost.
  expect(await deliver('archive+leads/ann@a.example')).toBe('Shared Folders/Archive: 2\n')
  expect(await deliver('archive+../x@a.example')).toBe('Shared Folders/Archive: 3\n')
  expect(await call(['deliver', 'nobody@a.example'], 'x')).toMatchObject({ status: 67 })
})

it('msadm undelete brings back what was removed in a shared root', async () => {
  const { call, directory } = await newPlace(
    "<shared_root_dir>shared</shared_root_dir><shared_root name='Team' path='team'/>",
  )
  expect(await call(['undelete', 'Shared Folders/Team'])).toMatchObject({
    status: 1,
    err: expect.stringContaining('no mail of'),
  })
  expect(await call(['undelete', 'Shared Folders/Other'])).toMatchObject({
    status: 1,
    err: expect.stringContaining('no shared root'),
  })
  {
    await using store = openStore({ root: join(directory, 'user'), clock: systemClock, log: silentLog })
    const tree = store.tree('Shared Folders/Team', join(directory, 'shared/team'))
    await tree.ensure()
    await tree.create('Plans')
    await fill(tree, [500], 'Plans')
    await tree.remove('Plans')
  }
  expect((await call(['undelete', 'Shared Folders/Team'])).out).toContain('brought back mailbox "Plans", 1 messages')
  await using store = openStore({ root: join(directory, 'user'), clock: systemClock, log: silentLog })
  const tree = store.tree('Shared Folders/Team', join(directory, 'shared/team'))
  expect((await tree.status('Plans')).messages).toBe(1)
  expect((await call(['verify'])).out).toContain('looked at 1 account, 2 mailboxes, 1 message')
})
