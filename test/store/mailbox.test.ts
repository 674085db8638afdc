import { createHash } from 'node:crypto'
import { readdirSync, readFileSync, rmdirSync, rmSync, statSync, unlinkSync } from 'node:fs'
import { describe, expect, it, vi } from 'vitest'
import type { ModSeq, Uid } from '#src/base/ids.ts'
import { silentLog } from '#src/base/log.ts'
import { copySource } from '#src/store/copy-origin.ts'
import { nodeFs } from '#src/store/fs.ts'
import type { CommitNotice } from '#src/store/types.ts'
import { deliver, deliverAll, freshInbox, storeIn, textOf, uid, uids, user } from './support.ts'

describe('a mailbox', () => {
  it('keeps what is delivered, in one change set, over a restart', async () => {
    const { root, inbox, store } = await freshInbox()
    const before = inbox.highestModSeq
    const delivered = await deliverAll(inbox, [
      { text: 'one', flags: ['\\seen', 'Work'], internalDate: 1_600_000_000 },
      { text: 'two', origin: 'pop.example.net:UIDL-2', uidl: 'UIDL-2' },
    ])
    expect(delivered).toEqual([{ uid: 1 }, { uid: 2 }])
    expect(inbox.highestModSeq).toBe(before + 1)
    await store.close()

    await using again = storeIn(root)
    const mailbox = await again.account(user).open('INBOX')
    expect(
      [...mailbox.messages].map(({ uid, sizeOctets, internalDate, origin, uidl, modSeq }) => ({
        uid,
        sizeOctets,
        internalDate,
        origin,
        uidl,
        modSeq,
      })),
    ).toEqual([
      { uid: 1, sizeOctets: 3, internalDate: 1_600_000_000, origin: undefined, uidl: undefined, modSeq: before + 1 },
      {
        uid: 2,
        sizeOctets: 3,
        internalDate: 1_700_000_000,
        origin: 'pop.example.net:UIDL-2',
        uidl: 'UIDL-2',
        modSeq: before + 1,
      },
    ])
    expect([...mailbox.messages.at(0)!.flags]).toEqual(['\\Seen', 'Work'])
    expect(mailbox.messages.at(1)!.digest).toBe(createHash('sha256').update('two').digest('base64url'))
    expect(await textOf(mailbox, 2)).toBe('two')
    expect(mailbox.uidNext).toBe(3)
    expect([...mailbox.keywords]).toEqual(['Work'])
  })

  it('streams a large message and answers any part of it', async () => {
    const { inbox } = await freshInbox()
    const octets = Buffer.alloc(1_000_000)
    for (let at = 0; at < octets.length; at += 1) octets[at] = at % 251
    await using delivery = inbox.deliver()
    const sink = delivery.add({ internalDate: 1 })
    for (let at = 0; at < octets.length; at += 60_000) await sink.write(octets.subarray(at, at + 60_000))
    await sink.end()
    await delivery.commit()
    const record = inbox.messages.at(0)!
    expect(record.digest).toBe(createHash('sha256').update(octets).digest('base64url'))
    await using content = await inbox.content(record)
    expect((await content.read(500_000, 500_100)).equals(octets.subarray(500_000, 500_100))).toBe(true)
    expect((await content.read(999_990, 2_000_000)).equals(octets.subarray(999_990))).toBe(true)
    const chunks: Buffer[] = []
    for await (const chunk of content.stream()) chunks.push(chunk)
    expect(Math.max(...chunks.map((chunk) => chunk.length))).toBeLessThanOrEqual(65_536)
    expect(Buffer.concat(chunks).equals(octets)).toBe(true)
  })

  it('leaves out what was aborted or not ended, and leaves no file of it', async () => {
    const { inbox, account } = await freshInbox()
    await using delivery = inbox.deliver()
    const [aborted, unfinished, whole] = [1, 2, 3].map((internalDate) => delivery.add({ internalDate }))
    await aborted!.write(Buffer.from('a'))
    await aborted!.abort()
    await unfinished!.write(Buffer.alloc(300_000))
    await whole!.write(Buffer.from('c'))
    await whole!.end()
    expect(await delivery.commit()).toEqual([{ aborted: true }, { aborted: true }, { uid: 1 }])
    expect(readdirSync(`${account.path}/INBOX/msg`)).toEqual([inbox.messages.at(0)!.file])
    await vi.waitFor(() => expect(readdirSync(`${account.path}/INBOX/tmp`)).toEqual(['swept']))
  })

  it('IX-10: has a file for each message, and reading, marking or deleting one touches no other', async () => {
    const { inbox, account } = await freshInbox()
    await deliverAll(inbox, [{ text: 'one' }, { text: 'two' }, { text: 'three' }])
    const path = (name: string) => `${account.path}/INBOX/msg/${name}`
    const files = () => readdirSync(`${account.path}/INBOX/msg`).sort()
    const [one, two, three] = [...inbox.messages].map(({ file }) => file)
    expect(files()).toEqual([one, two, three].sort())
    expect([one, two, three].map((file) => readFileSync(path(file!), 'utf8'))).toEqual(['one', 'two', 'three'])
    const asTheyAre = () => [one, three].map((file) => statSync(path(file!), { bigint: true }).ctimeNs)
    const before = asTheyAre()
    expect(await textOf(inbox, 2)).toBe('two')
    await inbox.changeFlags({ uids: uids(2), mode: 'add', flags: ['\\Seen'] })
    await inbox.expunge(uids(2), 'client')
    expect(asTheyAre()).toEqual(before)
    expect([...inbox.messages].map(({ file }) => file)).toEqual([one, three])
  })

  it('shows nothing and keeps nothing of an abandoned delivery', async () => {
    const { inbox, account } = await freshInbox()
    {
      await using delivery = inbox.deliver()
      const sink = delivery.add({ internalDate: 1 })
      await sink.write(Buffer.from('x'))
      await sink.end()
    }
    expect([...inbox.messages]).toEqual([])
    expect(readdirSync(`${account.path}/INBOX/msg`)).toEqual([])
  })

  it('stores an origin once: present, departed, and again after forget', async () => {
    const { inbox } = await freshInbox()
    const origin = 'pop.example.net:abc'
    expect(await deliver(inbox, 'x', { origin })).toEqual({ uid: 1 })
    expect(await deliver(inbox, 'x', { origin })).toEqual({ duplicateOf: { present: true, uid: 1 } })
    expect(
      await deliverAll(inbox, [
        { text: 'y', origin: 'twice' },
        { text: 'y', origin: 'twice' },
      ]),
    ).toEqual([{ uid: 2 }, { duplicateOf: { present: true, uid: 2 } }])
    expect(await inbox.expunge(uids(1), 'window')).toEqual([1])
    const departed = { present: false, uid: 1, cause: 'window', modSeq: inbox.highestModSeq }
    expect(inbox.byOrigin(origin)).toEqual(departed)
    expect([...inbox.departed()]).toEqual([[origin, departed]])
    expect(await deliver(inbox, 'x', { origin })).toEqual({ duplicateOf: departed })
    await inbox.forget([origin])
    expect(await deliver(inbox, 'x', { origin })).toEqual({ uid: 3 })
  })

  it('gives origins to messages that are here, and remembers those of messages that left meanwhile', async () => {
    const { inbox, root, store } = await freshInbox()
    await deliverAll(inbox, [{ text: 'a' }, { text: 'b', origin: 'old', uidl: 'u-2' }, { text: 'c' }, { text: 'd' }])
    await inbox.expunge(uids(3), 'client')
    await inbox.giveOrigins([
      [uid(2), 'there/2'],
      [uid(1), 'there/1'],
      [uid(3), 'there/3'],
      [uid(4), 'there/1'],
      [uid(99), 'there/99'],
    ])
    const look = (mailbox: typeof inbox) => [
      [...mailbox.messages].map(({ uid, origin, uidl }) => [uid, origin, uidl]),
      ['there/1', 'there/2', 'there/3', 'there/99', 'old'].map((origin) => mailbox.byOrigin(origin)),
    ]
    const wanted = [
      [
        [1, 'there/1', undefined],
        [2, 'there/2', 'u-2'],
        [4, undefined, undefined],
      ],
      [
        { present: true, uid: 1 },
        { present: true, uid: 2 },
        { present: false, uid: 3, cause: 'client', modSeq: inbox.highestModSeq },
        undefined,
        undefined,
      ],
    ]
    expect(look(inbox)).toEqual(wanted)
    expect(await deliver(inbox, 'again', { origin: 'there/3' })).toMatchObject({ duplicateOf: { uid: 3 } })
    expect(await textOf(inbox, 2)).toBe('b')
    await expect(inbox.giveOrigins([[uid(4), '']])).rejects.toMatchObject({ kind: 'invalid' })
    await store.close()
    await using again = storeIn(root)
    expect(look(await again.account(user).open('INBOX'))).toEqual(wanted)
  })

  it('tells listeners which changes are its own', async () => {
    const { inbox, root } = await freshInbox()
    await using other = storeIn(root)
    const theirs = await other.account(user).open('INBOX')
    const told: [own: boolean, number][] = []
    inbox.onChange((own) => told.push([own, inbox.highestModSeq]))
    const before = inbox.highestModSeq
    await deliver(inbox, 'ours')
    await deliver(theirs, 'theirs')
    await inbox.refresh()
    expect(told).toEqual([
      [true, before + 1],
      [false, before + 2],
    ])
  })

  it('changes flags in one commit, and not at all when nothing changes', async () => {
    const { inbox } = await freshInbox()
    await deliverAll(inbox, [{ text: 'a' }, { text: 'b' }, { text: 'c', flags: ['\\Seen'] }])
    const before = inbox.highestModSeq
    await inbox.changeFlags({ uids: uids(1, 2, 3, 99), mode: 'add', flags: ['\\Seen', '$Label'] })
    expect([...inbox.messages].map((message) => [...message.flags].sort())).toEqual(Array(3).fill(['$Label', '\\Seen']))
    expect(inbox.highestModSeq).toBe(before + 1)
    expect(inbox.messages.at(0)!.flags).toBe(inbox.messages.at(2)!.flags)
    await inbox.changeFlags({ uids: uids(1), mode: 'add', flags: ['\\SEEN', '$label'] })
    expect(inbox.highestModSeq).toBe(before + 1)
    await inbox.changeFlags({ uids: uids(1), mode: 'remove', flags: ['$LABEL'] })
    await inbox.changeFlags({ uids: uids(2), mode: 'set', flags: ['\\Deleted', '\\Recent'] })
    expect([...inbox.messages].map((message) => [...message.flags])).toEqual([
      ['\\Seen'],
      ['\\Deleted'],
      ['\\Seen', '$Label'],
    ])
  })

  it('takes flags off and puts others on in one commit, also where a message has none of the one or all of the other', async () => {
    const { inbox } = await freshInbox()
    await deliverAll(inbox, [
      { text: 'a', flags: ['\\Draft', '$Label'] },
      { text: 'b', flags: ['\\Seen'] },
      { text: 'c' },
    ])
    const told: number[] = []
    inbox.onChange(() => told.push(inbox.highestModSeq))
    await inbox.changeFlags({ uids: uids(1, 2, 3), mode: 'add', flags: ['\\Seen'], without: ['$LABEL', '\\Flagged'] })
    expect([...inbox.messages].map((message) => [...message.flags].sort())).toEqual([
      ['\\Draft', '\\Seen'],
      ['\\Seen'],
      ['\\Seen'],
    ])
    expect(told).toHaveLength(1)
  })

  it('leaves alone what changed after unchangedSince', async () => {
    const { inbox } = await freshInbox()
    await deliverAll(inbox, [{ text: 'a' }, { text: 'b' }])
    const since = inbox.highestModSeq
    await inbox.changeFlags({ uids: uids(1), mode: 'add', flags: ['\\Flagged'] })
    const change = { uids: uids(1, 2), mode: 'add' as const, flags: ['\\Seen'], unchangedSince: since }
    expect(await inbox.changeFlags(change)).toEqual({ modified: [1] })
    expect([...inbox.messages].map((message) => [...message.flags])).toEqual([['\\Flagged'], ['\\Seen']])
    // Two that share a commit: only one can have seen the message unchanged.
    const now = inbox.highestModSeq
    const both = await Promise.all(
      ['x', 'y'].map((flag) => inbox.changeFlags({ uids: uids(2), mode: 'add', flags: [flag], unchangedSince: now })),
    )
    expect(both.map(({ modified }) => modified.length).sort()).toEqual([0, 1])
  })

  it('refuses flags that can not be stored', async () => {
    const { inbox } = await freshInbox()
    await deliver(inbox, 'a')
    for (const flag of ['\\Foo', 'a b', 'x]', '', 'é', 'k'.repeat(300)])
      await expect(inbox.changeFlags({ uids: uids(1), mode: 'add', flags: [flag] })).rejects.toMatchObject({
        kind: 'invalid',
      })
    const many = Array.from({ length: 1001 }, (_, index) => `k${index}`)
    await expect(inbox.changeFlags({ uids: uids(1), mode: 'add', flags: many })).rejects.toMatchObject({
      kind: 'limit',
    })
  })

  it('never gives a UID twice', async () => {
    const { inbox } = await freshInbox()
    await deliverAll(inbox, [{ text: 'a' }, { text: 'b' }])
    expect(await inbox.expunge(uids(1, 2, 7), 'client')).toEqual([1, 2])
    expect(await inbox.expunge(uids(1, 2), 'client')).toEqual([])
    expect(await deliver(inbox, 'c')).toEqual({ uid: 3 })
  })

  it('tells the exact difference between two states, from memory and by scan', async () => {
    const { inbox, root } = await freshInbox()
    await deliverAll(inbox, [{ text: 'a' }, { text: 'b' }, { text: 'c' }])
    const since = inbox.highestModSeq
    await inbox.changeFlags({ uids: uids(2), mode: 'add', flags: ['\\Seen'] })
    await deliverAll(inbox, [{ text: 'd' }, { text: 'e' }])
    await inbox.changeFlags({ uids: uids(4), mode: 'add', flags: ['\\Seen'] })
    await inbox.expunge(uids(1, 5), 'client')
    await using other = storeIn(root)
    for (const mailbox of [inbox, await other.account(user).open('INBOX')]) {
      const delta = mailbox.delta(since)
      expect([...delta.added()]).toEqual([4])
      expect([...delta.updated()]).toEqual([2])
      expect([...delta.expunged()].filter(({ first }) => first < 4)).toEqual([{ first: 1, last: 1 }])
      expect(delta.highestModSeq).toBe(inbox.highestModSeq)
      const none = mailbox.delta(mailbox.highestModSeq)
      expect([...none.added(), ...none.updated(), ...none.expunged()]).toEqual([])
      const all = mailbox.delta(0 as ModSeq)
      expect([...all.added()]).toEqual([2, 3, 4])
      expect([...all.updated()]).toEqual([])
    }
  })

  it('replaces the list of messages, never changes it', async () => {
    const { inbox } = await freshInbox()
    await deliverAll(inbox, [{ text: 'a' }, { text: 'b' }])
    const held = inbox.messages
    const copy = [...held]
    await inbox.changeFlags({ uids: uids(1), mode: 'add', flags: ['\\Seen'] })
    await deliver(inbox, 'c')
    await inbox.expunge(uids(2), 'client')
    expect([...held]).toEqual(copy)
    expect([...inbox.messages].map((message) => message.uid)).toEqual([1, 3])
  })

  it('copies and moves with flags and date, and tells what a copy was made of', async () => {
    const { inbox, account } = await freshInbox()
    await account.create('Archive')
    const archive = await account.open('Archive')
    await deliverAll(inbox, [
      { text: 'a', origin: 'o', uidl: 'o', flags: ['\\Seen', 'Work'], internalDate: 5 },
      { text: 'b' },
    ])
    expect(await inbox.copyTo(uids(2, 1, 9), archive)).toEqual({
      uidValidity: archive.uidValidity,
      pairs: [
        [1, 1],
        [2, 2],
      ],
    })
    expect(archive.messages.at(0)).toMatchObject({ internalDate: 5, uidl: undefined, sizeOctets: 1 })
    const source = { mailboxId: inbox.id, origin: 'o' }
    expect(copySource(archive.messages.at(0)!.origin!)).toEqual(source)
    expect(archive.messages.at(1)!.origin).toBeUndefined()
    expect([...archive.messages.at(0)!.flags]).toEqual(['\\Seen', 'Work'])
    expect(await textOf(archive, 1)).toBe('a')
    expect((await inbox.moveTo(uids(1), archive)).pairs).toEqual([[1, 3]])
    expect([...inbox.messages].map((message) => message.uid)).toEqual([2])
    expect(inbox.byOrigin('o')).toMatchObject({ present: false, cause: 'client' })
    // A copy of a copy names the first one. What leaves is remembered of nobody: nobody comes with it.
    await archive.copyTo(uids(1), archive)
    expect(copySource(archive.byUid(4 as Uid)!.origin!)).toEqual(source)
    expect(new Set(Array.from(archive.messages, ({ origin }) => origin)).size).toBe(4)
    await archive.expunge(uids(1), 'client')
    expect([...archive.departed()]).toEqual([])
    await archive.giveOrigins([[4 as Uid, 'there']])
    expect(archive.byUid(4 as Uid)!.origin).toBe('there')
  })

  it('gives \\Recent to exactly one', async () => {
    const { inbox } = await freshInbox()
    await deliverAll(inbox, [{ text: 'a' }, { text: 'b' }])
    const claims = await Promise.all([inbox.claimRecent(), inbox.claimRecent()])
    expect(claims).toEqual([
      { after: 0, upTo: 2 },
      { after: 2, upTo: 2 },
    ])
    await deliver(inbox, 'c')
    expect(await inbox.claimRecent()).toEqual({ after: 2, upTo: 3 })
    expect(inbox.recentAfter).toBe(3)
  })

  it('spends a MODSEQ on what is kept elsewhere', async () => {
    const { inbox } = await freshInbox()
    await deliver(inbox, 'a')
    const { highestModSeq, recentAfter } = inbox
    await inbox.raiseModSeq()
    expect(inbox.highestModSeq).toBe(highestModSeq + 1)
    expect(inbox.recentAfter).toBe(recentAfter)
    const { added, updated, expunged } = inbox.delta(highestModSeq)
    expect([...added(), ...updated(), ...expunged()]).toEqual([])
  })

  it('sees what another process did only after refresh, and tells its listeners', async () => {
    const { inbox, root } = await freshInbox()
    await using other = storeIn(root)
    const theirs = await other.account(user).open('INBOX')
    let told = 0
    const stop = inbox.onChange(() => {
      told += 1
    })
    await deliver(theirs, 'a')
    expect([...inbox.messages]).toEqual([])
    expect(await inbox.refresh()).toBe(true)
    expect([inbox.messages.length, told]).toEqual([1, 1])
    expect(await inbox.refresh()).toBe(false)
    await deliver(inbox, 'b')
    expect(told).toBe(2)
    stop()
    await deliver(inbox, 'c')
    expect(told).toBe(2)
    await theirs.refresh()
    expect([...theirs.messages]).toEqual([...inbox.messages])
  })

  it('shares a commit between deliveries that come together', async () => {
    const { inbox } = await freshInbox()
    const before = inbox.highestModSeq
    const all = await Promise.all(Array.from({ length: 40 }, (_, index) => deliver(inbox, `m${index}`)))
    const given = all.map((delivered) => ('uid' in delivered ? delivered.uid : 0)).sort((a, b) => a - b)
    expect(given).toEqual(Array.from({ length: 40 }, (_, index) => index + 1))
    expect(inbox.highestModSeq - before).toBeLessThan(20)
  })

  it('acknowledges what is durable, whatever its listeners make of it', async () => {
    const lines: string[] = []
    const { inbox } = await freshInbox({
      log: { ...silentLog, log: (severity, message) => void lines.push(`${severity} ${message}`) },
      onCommit: () => {
        throw new Error('of the event channel')
      },
    })
    let told = 0
    inbox.onChange(() => {
      throw new Error('of a session')
    })
    inbox.onChange(() => {
      told += 1
    })
    expect(await deliver(inbox, 'a')).toEqual({ uid: 1 })
    expect([inbox.messages.length, told]).toEqual([1, 1])
    expect(lines).toEqual(Array(2).fill('err a listener to a mailbox failed'))
  })

  it('reads a large message in pieces to summarise it', async () => {
    const reads: number[] = []
    const { inbox, root, store, account } = await freshInbox()
    await deliver(inbox, `Subject: large\r\n\r\n${'line\r\n'.repeat(200_000)}`)
    await store.close()
    rmSync(`${account.path}/INBOX/cache`, { recursive: true })
    await using again = storeIn(root, {
      fs: {
        ...nodeFs,
        open: async (path) => {
          const file = await nodeFs.open(path)
          return {
            sizeOctets: file.sizeOctets,
            read: (position, length) => {
              if (path.includes('/msg/')) reads.push(length)
              return file.read(position, length)
            },
            close: () => file.close(),
          }
        },
      },
    })
    const mailbox = await again.account(user).open('INBOX')
    expect((await mailbox.summary(mailbox.messages.at(0)!)).root).toMatchObject({ lines: 200_000, bodyStart: 18 })
    expect(reads.length).toBeGreaterThan(8)
    expect(Math.max(...reads)).toBeLessThanOrEqual(131_072)
  })

  it('tells a copy to a mailbox without its folder from a message that is gone', async () => {
    const { inbox, account } = await freshInbox()
    await deliverAll(inbox, [{ text: 'a' }, { text: 'b' }])
    await account.create('box')
    const box = await account.open('box')
    rmdirSync(`${account.path}/box/msg`)
    await expect(inbox.copyTo(uids(1), box)).rejects.toMatchObject({ kind: 'unavailable' })
    // The folder is there again.
    expect((await inbox.copyTo(uids(1), box)).pairs).toEqual([[1, 1]])
    unlinkSync(`${account.path}/INBOX/msg/${inbox.messages.at(1)!.file}`)
    await expect(inbox.copyTo(uids(1, 2), box)).rejects.toMatchObject({ kind: 'expunged' })
    expect(readdirSync(`${account.path}/box/msg`)).toEqual([box.messages.at(0)!.file])
    await account.remove('box')
    await expect(inbox.copyTo(uids(1), box)).rejects.toMatchObject({ kind: 'not-found' })
  })

  it('tells of its commits', async () => {
    const notices: CommitNotice[] = []
    const { inbox } = await freshInbox({ onCommit: (notice) => notices.push(notice) })
    await deliver(inbox, 'a')
    await inbox.expunge(uids(1), 'client')
    expect(notices).toEqual([
      { userId: user, mailbox: 'INBOX', highestModSeq: inbox.highestModSeq - 1, added: 1, updated: 0, expunged: 0 },
      { userId: user, mailbox: 'INBOX', highestModSeq: inbox.highestModSeq, added: 0, updated: 0, expunged: 1 },
    ])
  })
})
