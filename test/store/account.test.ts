import { existsSync, readdirSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import type { UserId } from '#src/base/ids.ts'
import { putMetadata } from '#src/store/metadata.ts'
import { MemoryDisk } from './disk.ts'
import { deliver, deliverAll, freshInbox, freshRoot, storeIn, textOf, uid, uids, user } from './support.ts'

describe('an account', () => {
  it('is made once and is one directory tree (MDIR-04)', async () => {
    const root = freshRoot()
    await using store = storeIn(root)
    const account = store.account(user)
    expect(await account.exists()).toBe(false)
    await expect(account.open('INBOX')).rejects.toMatchObject({ kind: 'not-found' })
    await expect(account.create('x')).rejects.toMatchObject({ kind: 'not-found' })
    await Promise.all([account.ensure(), storeIn(root).account(user).ensure()])
    await account.ensure()
    expect(await account.exists()).toBe(true)
    expect(await account.list()).toEqual([{ name: 'INBOX', selectable: true, hasChildren: false }])
    const found: UserId[] = []
    for await (const userId of store.accounts()) found.push(userId)
    expect(found).toEqual([user])
    await account.destroy()
    expect(await account.exists()).toBe(false)
    expect(readdirSync(root)).toEqual([])
    await account.ensure()
    expect([...(await account.open('inbox')).messages]).toEqual([])
  })

  it('tells of changes of its tree, and of none that is none', async () => {
    const told: string[] = []
    const { account } = await freshInbox({ onTree: ({ change, mailbox }) => told.push(`${change} ${mailbox}`) })
    told.length = 0
    await account.create('a/b')
    await expect(account.create('a/b')).rejects.toMatchObject({ kind: 'already-exists' })
    for (let time = 0; time < 2; time += 1) await account.subscribe('a/b')
    for (let time = 0; time < 2; time += 1) await account.unsubscribe('a/b')
    await account.rename('a', 'c')
    await account.remove('c/b')
    await expect(account.remove('c/b')).rejects.toMatchObject({ kind: 'not-found' })
    const [removed] = await account.removed()
    await account.restore(removed!.id)
    expect(told).toEqual([
      'created a/b',
      'subscribed a/b',
      'unsubscribed a/b',
      'renamed a',
      'removed c/b',
      'restored c/b',
    ])
  })

  it('lists mailboxes and the levels above them, INBOX first', async () => {
    const { account } = await freshInbox()
    for (const name of ['Zoo', 'a/b/c', 'inbox/Sub', 'Archive']) await account.create(name)
    expect(await account.list()).toEqual([
      { name: 'INBOX', selectable: true, hasChildren: true },
      { name: 'Archive', selectable: true, hasChildren: false },
      { name: 'INBOX/Sub', selectable: true, hasChildren: false },
      { name: 'Zoo', selectable: true, hasChildren: false },
      { name: 'a', selectable: false, hasChildren: true },
      { name: 'a/b', selectable: false, hasChildren: true },
      { name: 'a/b/c', selectable: true, hasChildren: false },
    ])
    await expect(account.open('a')).rejects.toMatchObject({ kind: 'not-found' })
    await account.create('a')
    await expect(account.create('a')).rejects.toMatchObject({ kind: 'already-exists' })
    await expect(account.create('Inbox')).rejects.toMatchObject({ kind: 'already-exists' })
    expect([...(await account.open('a')).messages]).toEqual([])
  })

  it('makes the log of a mailbox with a lower inode number than its messages, whatever the disk gives out (MDIR-04)', async () => {
    const fs = new MemoryDisk().fs()
    await using store = storeIn('/store', { fs })
    const account = store.account(user)
    await account.ensure()
    const names = Array.from({ length: 20 }, (_, index) => `box${index}`)
    for (const name of names) await account.create(name)
    for (const name of ['INBOX', ...names]) {
      const [log, msg] = await Promise.all(
        ['log', 'msg'].map(async (folder) => (await fs.status(`${account.path}/${name}/${folder}`)).inode),
      )
      expect(log, name).toBeLessThan(msg!)
    }
    expect((await fs.list(`${account.path}/tmp`)).filter(({ isDirectory }) => isDirectory)).toEqual([])
  })

  it('gives every mailbox a UIDVALIDITY and an id of its own, also under an old name', async () => {
    const { account } = await freshInbox()
    const seen = new Set<string | number>()
    for (let round = 0; round < 3; round += 1) {
      await account.create('box')
      const status = await account.status('box')
      seen.add(status.uidValidity).add(status.mailboxId)
      await account.remove('box')
    }
    expect(seen.size).toBe(6)
    await account.create('moved', { uidValidity: 77, uidNext: uid(500) })
    const moved = await account.open('moved')
    expect([moved.uidValidity, moved.uidNext]).toEqual([77, 500])
    expect(await deliver(moved, 'x')).toEqual({ uid: 500 })
  })

  it('removes a mailbox and keeps its children (RFC 9051 §6.3.5)', async () => {
    const { account } = await freshInbox()
    await account.create('a')
    await account.create('a/b')
    const held = await account.open('a')
    await deliver(held, 'x')
    await account.remove('a')
    expect((await account.list()).map(({ name, selectable }) => [name, selectable])).toEqual([
      ['INBOX', true],
      ['a', false],
      ['a/b', true],
    ])
    await expect(account.remove('a')).rejects.toMatchObject({ kind: 'not-found' })
    await expect(deliver(held, 'y')).rejects.toMatchObject({ kind: 'not-found' })
    await expect(held.refresh()).rejects.toMatchObject({ kind: 'not-found' })
    await account.create('a')
    await expect(deliver(held, 'z')).rejects.toMatchObject({ kind: 'not-found' })
    expect([...(await account.open('a')).messages]).toEqual([])
    await account.remove('a/b')
    await account.remove('a')
    expect((await account.list()).map(({ name }) => name)).toEqual(['INBOX'])
    expect(existsSync(`${account.path}/a`)).toBe(false)
    await expect(account.remove('INBOX')).rejects.toMatchObject({ kind: 'invalid' })
  })

  it('renames a tree; who has a mailbox of it open goes on (RFC 9051 §6.3.6)', async () => {
    const { account, root } = await freshInbox()
    await account.create('old')
    await account.create('old/sub')
    const sub = await account.open('old/sub')
    await deliver(sub, 'x')
    const { id } = sub
    await account.rename('old', 'new/place')
    expect((await account.list()).map(({ name }) => name)).toEqual(['INBOX', 'new', 'new/place', 'new/place/sub'])
    expect(sub.name).toBe('new/place/sub')
    expect(await deliver(sub, 'y')).toEqual({ uid: 2 })
    await using other = storeIn(root)
    const again = await other.account(user).open('new/place/sub')
    expect([again.id, again.messages.length]).toEqual([id, 2])
    await expect(account.rename('old', 'x')).rejects.toMatchObject({ kind: 'not-found' })
    await expect(account.rename('new', 'INBOX')).rejects.toMatchObject({ kind: 'already-exists' })
    await expect(account.rename('new', 'new/below')).rejects.toMatchObject({ kind: 'invalid' })
    await account.rename('new/place', 'NEW')
    expect((await account.list()).map(({ name }) => name)).toEqual(['INBOX', 'NEW', 'NEW/sub'])
  })

  it('renames INBOX by moving its messages (RFC 9051 §6.3.6)', async () => {
    const { account, inbox } = await freshInbox()
    await account.create('INBOX/child')
    await deliverAll(inbox, [{ text: 'a' }, { text: 'b' }])
    await account.rename('inbox', 'old mail')
    expect([...inbox.messages]).toEqual([])
    expect(await textOf(await account.open('old mail'), 2)).toBe('b')
    expect((await account.list()).map(({ name }) => name)).toEqual(['INBOX', 'INBOX/child', 'old mail'])
    // RFC 5464 §4.1: the annotations would be there twice, and there is no room for that.
    await deliver(inbox, 'c')
    const many = Array.from({ length: 10 }, (_, index) => [`/private/n${index}`, 'x'.repeat(16_384)] as const)
    await putMetadata(account, { place: 'here', id: inbox.id }, new Map(many))
    await expect(account.rename('INBOX', 'older mail')).rejects.toMatchObject({ kind: 'limit' })
    expect(inbox.messages.length).toBe(1)
    expect(await account.findId('older mail')).toBe(undefined)
  })

  it('counts for STATUS', async () => {
    const { account, inbox } = await freshInbox()
    await deliverAll(inbox, [{ text: 'abc', flags: ['\\Seen'] }, { text: 'de' }, { text: 'f', flags: ['\\Deleted'] }])
    await inbox.claimRecent()
    await deliver(inbox, 'g')
    expect(await account.status('INBOX')).toEqual({
      messages: 4,
      recent: 1,
      unseen: 3,
      deleted: 1,
      sizeOctets: 7,
      uidNext: 5,
      uidValidity: inbox.uidValidity,
      highestModSeq: inbox.highestModSeq,
      mailboxId: inbox.id,
    })
  })

  it('keeps subscriptions and values, seen by other processes', async () => {
    const { account, root } = await freshInbox()
    await using store = storeIn(root)
    const other = store.account(user)
    await account.subscribe('Inbox')
    await account.subscribe('gone/away')
    await other.subscribe('x')
    await other.unsubscribe('x')
    expect(await other.subscriptions()).toEqual(['INBOX', 'gone/away'])
    await account.put({ cursor: { last: 5 }, list: [1, 'a'], none: undefined })
    expect(await other.get('cursor')).toEqual({ last: 5 })
    await other.put({ cursor: undefined })
    expect(await account.get('cursor')).toBe(undefined)
    expect(await account.get('list')).toEqual([1, 'a'])
  })

  it('reopens a mailbox that another process removed and made again', async () => {
    const { account, root } = await freshInbox()
    await account.create('box')
    const first = await account.open('box')
    await deliver(first, 'old')
    await first.close()
    await using store = storeIn(root)
    await store.account(user).remove('box')
    await store.account(user).create('box')
    const second = await account.open('box')
    expect([...second.messages]).toEqual([])
    expect(second.id).not.toBe(first.id)
    await expect(first.expunge(uids(1), 'client')).rejects.toMatchObject({ kind: 'not-found' })
  })
  it('works on when another process removed it and made it again', async () => {
    const { account, inbox, root } = await freshInbox()
    await account.put({ cursor: 1 })
    await deliver(inbox, 'old')
    await using store = storeIn(root)
    const other = store.account(user)
    await other.destroy()
    const gone = { kind: 'not-found', message: 'The account does not exist' }
    await expect(account.get('cursor')).rejects.toMatchObject(gone)
    await expect(account.put({ cursor: 2 })).rejects.toMatchObject(gone)
    await expect(account.create('box')).rejects.toMatchObject(gone)
    await other.ensure()
    expect(await account.get('cursor')).toBe(undefined)
    await other.destroy()
    await other.ensure()
    await account.put({ cursor: 3 })
    expect(await other.get('cursor')).toBe(3)
    await account.create('box')
    await other.destroy()
    await account.ensure()
    expect(await other.get('cursor')).toBe(undefined)
    // A mailbox that was open is not the one of the same name.
    await expect(inbox.refresh()).rejects.toMatchObject({ kind: 'not-found' })
    expect([...(await account.open('INBOX')).messages]).toEqual([])
  })
})
