import { cpSync, lstatSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { systemClock } from '#src/base/clock.ts'
import type { UserId } from '#src/base/ids.ts'
import { nodeFs, type StoreFs } from '#src/store/fs.ts'
import type { StoreOptions } from '#src/store/store.ts'
import type { Account } from '#src/store/types.ts'
import type { Finding } from '#src/store/verify/finding.ts'
import { verify } from '#src/store/verify/verify.ts'
import { readOnlyMount } from '../support/read-only-mount.ts'
import { deliver, deliverAll, freshRoot, storeIn, textOf, uid, uids, user } from './support.ts'

const message = (name: string) => `From: a@example.com\r\nSubject: ${name}\r\n\r\nThis is ${name}.\r\n`

/** A store with one account, over several epochs, as it is when its account is archived. */
async function archivedRoot(): Promise<string> {
  const root = freshRoot()
  await using store = storeIn(root, { epochEntries: 4 })
  const account = store.account(user)
  await account.ensure()
  await account.create('Lists/Node')
  await account.subscribe('Lists/Node')
  await account.put({ cursor: 7 })
  await using inbox = await account.open('INBOX')
  for (const name of ['one', 'two', 'three'])
    await deliverAll(inbox, [{ text: message(name), origin: `pop:host/${name}` }])
  await inbox.changeFlags({ uids: uids(1, 2), mode: 'add', flags: ['\\Seen', 'work'] })
  await deliverAll(inbox, [{ text: message('four') }])
  await inbox.expunge(uids(3), 'client')
  await deliverAll(inbox, [{ text: message('five') }])
  await inbox.summary(inbox.messages.at(0)!)
  await using lists = await account.open('Lists/Node')
  await inbox.copyTo(uids(1, 2), lists)
  return root
}

/** Everything about a tree that a write would change. */
function snapshot(root: string): string[] {
  return readdirSync(root, { recursive: true, encoding: 'utf8' })
    .concat('.')
    .sort()
    .map((name) => {
      const { ino, size, mode, uid, mtimeMs, ctimeMs } = lstatSync(`${root}/${name}`)
      return [name, ino, size, mode, uid, mtimeMs, ctimeMs].join(' ')
    })
}

/** Everything that clients see. */
async function seen(account: Account) {
  const boxes = []
  for (const { name, selectable } of await account.list()) {
    if (!selectable) continue
    await using mailbox = await account.open(name)
    const { id, uidValidity, uidNext, highestModSeq, recentAfter, keywords } = mailbox
    const messages = []
    for (const record of mailbox.messages)
      messages.push([
        record.uid,
        [...record.flags].sort(),
        record.modSeq,
        record.internalDate,
        record.origin,
        await textOf(mailbox, record.uid),
        await mailbox.summary(record),
      ])
    boxes.push({ name, id, uidValidity, uidNext, highestModSeq, recentAfter, keywords: [...keywords].sort(), messages })
  }
  return {
    boxes,
    list: await account.list(),
    status: await account.status('INBOX'),
    usage: await account.usage(),
    subscriptions: await account.subscriptions(),
    cursor: await account.get('cursor'),
  }
}

const withArchive = (archive: string, options: Partial<StoreOptions> = {}) =>
  storeIn(`${freshRoot()}/user`, { archives: [archive], ...options })

describe('an archive (MDIR-06)', () => {
  it('shows on a read-only mount what the standard store shows, by the same interface', async () => {
    const root = await archivedRoot()
    // First: opening the standard store writes.
    using mount = readOnlyMount(root)
    await using archive = withArchive(mount.directory)
    const archived = await seen(archive.account(user))
    expect(archived.boxes.map(({ messages }) => messages.length)).toEqual([4, 2])
    await using standard = storeIn(root)
    expect(archived).toEqual(await seen(standard.account(user)))
    expect(await archive.account(user).locate()).toEqual({
      root: mount.directory,
      path: `${mount.directory}/${user}`,
      exists: true,
    })
    const found: UserId[] = []
    for await (const userId of archive.accounts()) found.push(userId)
    expect(found).toEqual([user])
  })

  it('is not changed by an octet, a name or a time where it could be', async () => {
    const root = await archivedRoot()
    const before = snapshot(root)
    let changed = ''
    const spy = (name: keyof StoreFs) => async (path: string) => {
      if (path.startsWith(root)) changed += `${name} ${path}\n`
      throw new Error(`${name} was called`)
    }
    const changing = [
      'write',
      'begin',
      'create',
      'append',
      'link',
      'rename',
      'remove',
      'makeDirectory',
      'removeDirectory',
    ] as const
    const fs = { ...nodeFs, ...Object.fromEntries(changing.map((name) => [name, spy(name)])) } as StoreFs
    {
      await using store = withArchive(root, { fs, epochEntries: 1, undeleteDays: () => 0 })
      const account = store.account(user)
      await account.ensure()
      await seen(account)
      await using inbox = await account.open('INBOX')
      expect(await inbox.refresh()).toBe(false)
      expect(await inbox.claimRecent()).toEqual({ after: inbox.recentAfter, upTo: inbox.recentAfter })
    }
    expect(changed).toBe('')
    expect(snapshot(root)).toEqual(before)
  })

  it('refuses every write, and says that it is an archive', async () => {
    const root = await archivedRoot()
    await using store = withArchive(root)
    const account = store.account(user)
    const inbox = await account.open('INBOX')
    const lists = await account.open('Lists/Node')
    expect([inbox.readOnly, lists.readOnly]).toEqual([true, true])
    const writes: Record<string, () => Promise<unknown>> = {
      deliver: () => deliver(inbox, 'x'),
      flags: () => inbox.changeFlags({ uids: uids(1), mode: 'add', flags: ['\\Flagged'] }),
      expunge: () => inbox.expunge(uids(1), 'client'),
      undelete: () => inbox.undelete(uids(3)),
      copy: () => inbox.copyTo(uids(1), lists),
      move: () => inbox.moveTo(uids(1), lists),
      origins: () => inbox.giveOrigins([[uids(1)[0]!, 'pop:host/other']]),
      forget: () => inbox.forget(['pop:host/three']),
      raiseModSeq: () => inbox.raiseModSeq(),
      raiseUidNext: () => inbox.raiseUidNext(uid(99)),
      adoptUids: () => account.adoptUids('INBOX', { uidValidity: 77, uidNext: uid(99) }),
      create: () => account.create('New'),
      remove: () => account.remove('Lists/Node'),
      rename: () => account.rename('Lists', 'Other'),
      restore: () => account.restore('x'),
      subscribe: () => account.subscribe('INBOX'),
      unsubscribe: () => account.unsubscribe('Lists/Node'),
      put: () => account.put({ cursor: 8 }),
      destroy: () => account.destroy(),
    }
    for (const [name, write] of Object.entries(writes)) {
      const attempt = (async () => await write())()
      await expect(attempt, name).rejects.toMatchObject({ kind: 'no-permission', message: /archive/ })
    }
    await expect(store.move(user, store.roots[0]!)).rejects.toMatchObject({ kind: 'no-permission', message: /archive/ })
  })

  it('is asked only for accounts that no root has; one that is made there hides it', async () => {
    const root = await archivedRoot()
    const live = `${freshRoot()}/user`
    await using store = storeIn(live, { archives: [root] })
    const other = 'new@example.com' as UserId
    await store.account(other).ensure()
    expect(readdirSync(live)).toEqual([other])
    cpSync(`${root}/${user}`, `${live}/${user}`, { recursive: true })
    await using inbox = await store.account(user).open('INBOX')
    expect(inbox.readOnly).toBe(false)
    expect(await deliver(inbox, 'x')).toMatchObject({ uid: 6 })
  })

  it('that is not mounted keeps its accounts from being made anew', async () => {
    const empty = freshRoot()
    for (const archive of [empty, `${empty}/absent`]) {
      await using store = withArchive(archive)
      await expect(store.account(user).ensure()).rejects.toMatchObject({
        kind: 'unavailable',
        message: expect.stringContaining('mount it'),
      })
    }
  })

  it('whose medium is taken out has no damaged messages, and has them again when it is back', async () => {
    const root = await archivedRoot()
    await using store = withArchive(root)
    await using inbox = await store.account(user).open('INBOX')
    const { uid } = inbox.messages.at(0)!
    renameSync(root, `${root}.away`)
    await expect(textOf(inbox, uid)).rejects.toMatchObject({ kind: 'unavailable' })
    await expect(store.account(user).open('INBOX')).rejects.toMatchObject({ kind: 'unavailable' })
    renameSync(`${root}.away`, root)
    expect(await textOf(inbox, uid)).toBe(message('one'))
  })

  it('with a damaged log shows what can be read, the same each time; a damaged message fails alone', async () => {
    const root = await archivedRoot()
    const inboxOf = `${root}/${user}/INBOX`
    const epochs = readdirSync(`${inboxOf}/log`).sort()
    const last = `${inboxOf}/log/${epochs.at(-1)}`
    rmSync(`${last}/base`)
    const victim = readdirSync(`${inboxOf}/msg`).sort()[0]!
    writeFileSync(`${inboxOf}/msg/${victim}`, 'short')
    const before = snapshot(root)
    const look = async () => {
      await using store = withArchive(root)
      await using inbox = await store.account(user).open('INBOX')
      const texts = await Promise.all(
        Array.from(inbox.messages, ({ uid }) => textOf(inbox, uid).catch((error: { kind: string }) => error.kind)),
      )
      return { uidValidity: inbox.uidValidity, texts: texts.sort() }
    }
    const first = await look()
    expect(first.texts.filter((text) => text.startsWith('From:')).length).toBeGreaterThanOrEqual(3)
    expect(first.texts).toContain('damaged')
    expect(await look()).toEqual(first)
    expect(snapshot(root)).toEqual(before)
  })

  it('that is replaced while a log is read shows what is there then, and repairs nothing', async () => {
    const root = await archivedRoot()
    await using archive = withArchive(root)
    const wanted = await seen(archive.account(user))
    let isReplaced = false
    const fs: StoreFs = {
      ...nodeFs,
      list: async (path) => {
        if (isReplaced || !/INBOX\/log\/[0-9]+\./.test(path)) return await nodeFs.list(path)
        isReplaced = true
        throw Object.assign(new Error('ENOENT'), { code: 'ENOENT' })
      },
    }
    await using other = withArchive(root, { fs })
    expect(await seen(other.account(user))).toEqual(wanted)
    expect(isReplaced).toBe(true)
  })

  it('is checked, and never repaired: nothing false on a read-only medium, damage told', async () => {
    const root = await archivedRoot()
    const check = async (archive: string, repair: boolean) => {
      const findings: Finding[] = []
      await verify({
        fs: nodeFs,
        clock: { ...systemClock, now: () => Date.now() + 2 * 86_400_000, sleep: async () => {} },
        repair,
        deep: true,
        openStore: () => withArchive(archive),
        roots: [],
        archives: [archive],
        onFinding: (finding) => findings.push(finding),
        onStep: () => {},
      })
      return findings
    }
    const folder = `${root}/${user}/INBOX/msg`
    rmSync(`${root}/${user}/Lists/Node/tmp`, { recursive: true, force: true })
    {
      using mount = readOnlyMount(root)
      expect(await check(mount.directory, true)).toEqual([])
    }
    const victim = `${folder}/${readdirSync(folder).sort()[0]}`
    // Its other name, in the other mailbox, stays whole.
    rmSync(victim)
    writeFileSync(victim, 'short')
    const before = snapshot(root)
    expect(await check(root, true)).toMatchObject([
      { kind: 'message-size', repaired: false, failure: expect.stringContaining('archive') },
    ])
    expect(snapshot(root)).toEqual(before)
  })
})
