import { createHash } from 'node:crypto'
import { lstatSync, mkdirSync, readdirSync, readFileSync, unlinkSync, writeFileSync } from 'node:fs'
import { describe, expect, it, onTestFinished } from 'vitest'
import { systemClock } from '#src/base/clock.ts'
import { encodeOperations, sealEntry } from '#src/store/change-set.ts'
import { nodeFs, type StoreFs } from '#src/store/fs.ts'
import type { Finding } from '#src/store/verify/finding.ts'
import type { Step } from '#src/store/verify/run.ts'
import { verify } from '#src/store/verify/verify.ts'
import { deliverAll, freshRoot, storeIn, uids, user } from './support.ts'
import { damages, messageFiles, removedIn, type Tree, treeIn } from './verify-damage.ts'

/** Two days from now nothing is young any more. Nobody has to wait for that. */
const later = { ...systemClock, now: () => Date.now() + 2 * 86_400_000, sleep: async () => {} }

async function check(root: string, options: { repair?: boolean; deep?: boolean; fs?: StoreFs; now?: boolean } = {}) {
  const findings: Finding[] = []
  const steps: Step[] = []
  const clock = options.now === true ? systemClock : later
  await verify({
    fs: options.fs ?? nodeFs,
    clock,
    repair: options.repair ?? false,
    deep: options.deep ?? true,
    openStore: () => storeIn(root, { clock, ...(options.fs !== undefined && { fs: options.fs }) }),
    roots: [root],
    onFinding: (finding) => findings.push(finding),
    onStep: (step) => steps.push(step),
  })
  return { findings, steps, kinds: findings.map(({ kind }) => kind).sort() }
}

const text = (name: string) => `From: a@example.com\r\nSubject: ${name}\r\n\r\nThis is ${name}, with some text.\r\n`

/** INBOX of six messages over two epochs, with a cache, and a mailbox with another below it. */
async function plantedStore(): Promise<Tree> {
  const root = freshRoot()
  {
    await using store = storeIn(root, { epochEntries: 4 })
    const account = store.account(user)
    await account.ensure()
    await account.subscribe('Archive')
    await account.create('Archive')
    await account.create('Archive/2024')
    await account.put({ cursor: { uid: 7 } })
    await using inbox = await account.open('INBOX')
    await deliverAll(inbox, [
      { text: text('one'), origin: 'pop:host/1', uidl: '1' },
      { text: text('two') },
      { text: text('seven') },
    ])
    const gone = inbox.byUid(uids(3)[0]!)!
    await inbox.expunge(uids(3), 'client')
    for (const name of ['three', 'four']) await deliverAll(inbox, [{ text: text(name), origin: `pop:host/${name}` }])
    await inbox.changeFlags({ uids: uids(1, 2), mode: 'add', flags: ['\\Seen', '$Forwarded'] })
    await deliverAll(inbox, [{ text: text('five') }])
    await inbox.changeFlags({ uids: uids(4), mode: 'add', flags: ['\\Flagged'] })
    await deliverAll(inbox, [{ text: text('six'), origin: `long-${'x'.repeat(400)}` }])
    await inbox.changeFlags({ uids: uids(5), mode: 'add', flags: ['\\Answered'] })
    await using archive = await account.open('Archive/2024')
    await inbox.copyTo(uids(1, 2), archive)
    for (const mailbox of [inbox, archive]) {
      for (const record of mailbox.messages) await mailbox.summary(record)
      const records = [...mailbox.messages]
      await Array.fromAsync(mailbox.keys({ uids: records.map(({ uid }) => uid), record: (index) => records[index]! }))
      await Array.fromAsync(mailbox.texts(records))
    }
    await account.create('Gone')
    await using removed = await account.open('Gone')
    await deliverAll(removed, [{ text: text('removed') }])
    await removed.changeFlags({ uids: uids(1), mode: 'add', flags: ['\\Seen'] })
    await account.remove('Gone')
    // As the end of its grace does.
    unlinkSync(`${root}/${user}/INBOX/msg/${gone.file}`)
  }
  // A cut goes on beside the commits, and need not have come to its end.
  while (readdirSync(`${root}/${user}/INBOX/log`).length < 2) {
    await using store = storeIn(root, { epochEntries: 4 })
    await using inbox = await store.account(user).open('INBOX')
    for (const keyword of ['x', 'y', 'z']) await inbox.changeFlags({ uids: uids(6), mode: 'set', flags: [keyword] })
  }
  {
    // More entries, which no cut follows.
    await using store = storeIn(root)
    const account = store.account(user)
    await account.put({ other: 1 })
    await account.put({ other: 2 })
    await using inbox = await account.open('INBOX')
    for (const keyword of ['a', 'b', 'c']) await inbox.changeFlags({ uids: uids(6), mode: 'add', flags: [keyword] })
  }
  {
    await using store = storeIn(root)
    await store.account(user).usage()
    for (const { name } of await store.account(user).list()) await store.account(user).status(name)
  }
  return treeIn(root)
}

/** Everything below a directory but for `tmp/`, where sweeps come and go: kind, mode, and the octets of files. */
function snapshot(directory: string): string[] {
  return readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .filter((name) => !name.includes('/tmp/'))
    .sort()
    .map((name) => {
      const status = lstatSync(`${directory}/${name}`)
      const octets = status.isFile() ? readFileSync(`${directory}/${name}`, 'base64') : ''
      return `${name} ${status.mode.toString(8)} ${octets}`
    })
}

/** Digests of all messages that clients can read, of what they really get. */
async function readable(root: string): Promise<string[]> {
  const digests: string[] = []
  await using store = storeIn(root, { clock: later })
  const account = store.account(user)
  for (const { name, selectable } of await account.list()) {
    if (!selectable) continue
    await using mailbox = await account.open(name)
    for (const record of mailbox.messages) {
      await using content = await mailbox.content(record)
      digests.push(
        createHash('sha256')
          .update(await content.read(0, content.sizeOctets))
          .digest('hex'),
      )
    }
  }
  return digests.sort()
}

const without = (from: readonly string[], these: readonly string[]) => {
  const left = [...from]
  for (const one of these) if (left.includes(one)) left.splice(left.indexOf(one), 1)
  return left
}

describe('a check of planted damage', () => {
  it('has at least 25 kinds of it', () => expect(new Set(damages.map(({ what }) => what)).size).toBeGreaterThan(25))

  for (const { what, kinds, inRepair = [], plant, lost = 0 } of damages)
    it(`finds and repairs ${what}: ${[...new Set(kinds)].join(', ')}`, async () => {
      const tree = await plantedStore()
      const before = await readable(tree.root)
      expect(before).toHaveLength(8)
      await plant(tree)
      const planted = snapshot(tree.root)
      const first = await check(tree.root)
      expect(first.kinds, JSON.stringify(first.findings, undefined, 1)).toEqual([...kinds].sort())
      // Only a repair changes anything.
      expect(snapshot(tree.root)).toEqual(planted)

      const { findings, kinds: again } = await check(tree.root, { repair: true })
      expect(again).toEqual([...kinds, ...inRepair].sort())
      expect(findings.map(({ repaired, failure }) => [repaired, failure])).toEqual(again.map(() => [true, undefined]))
      const after = await readable(tree.root)
      expect(without(before, after)).toHaveLength(lost)
      expect(without(after, before).length).toBeGreaterThanOrEqual(lost)
      expect((await check(tree.root)).findings).toEqual([])
    })
})

describe('a check', () => {
  it('of a store where nothing is wrong finds nothing, and counts what it looked at', async () => {
    const { root } = await plantedStore()
    for (const now of [true, false]) {
      const { findings, steps } = await check(root, { now })
      expect(findings).toEqual([])
      expect(steps.filter(({ what }) => what === 'message')).toHaveLength(8)
      expect(steps.filter(({ what }) => what === 'mailbox')).toHaveLength(3)
      expect(steps.filter(({ what }) => what === 'mailboxes')).toEqual([{ what: 'mailboxes', count: 3 }])
    }
  })

  it('leaves alone what belongs to partitions, and accounts on their way between them', async () => {
    const { root } = await plantedStore()
    for (const name of ['.wherry-partition', '.partitions']) writeFileSync(`${root}/${name}`, '{}')
    mkdirSync(`${root}/.places/${user}/claim`, { recursive: true })
    const names = readdirSync(root)
    expect((await check(root, { repair: true })).findings).toEqual([])
    expect(readdirSync(root)).toEqual(names)
  })

  it('leaves alone what a later version wrote (log-later)', async () => {
    const tree = await plantedStore()
    const epoch = readdirSync(`${tree.inbox}/log`).sort().at(-1)!
    const folder = `${tree.inbox}/log/${epoch}`
    const number = Number(readdirSync(folder).sort().at(-2)) + 1
    const entry = sealEntry('change', 'planted', await encodeOperations([['colour', 1, 'red']]))
    writeFileSync(`${folder}/${String(number).padStart(12, '0')}`, entry, { mode: 0o600 })
    const before = snapshot(tree.root)
    const { findings } = await check(tree.root, { repair: true })
    expect(findings).toMatchObject([{ kind: 'log-later', severity: 'warning', repaired: false }])
    expect(snapshot(tree.root)).toEqual(before)
  })

  it('tells of a damaged message of a removed mailbox, which is repaired when that is back', async () => {
    const tree = await plantedStore()
    const folder = `${removedIn(tree)}/msg`
    const path = `${folder}/${readdirSync(folder)[0]}`
    writeFileSync(path, 'short')
    const { findings } = await check(tree.root, { repair: true })
    expect(findings).toMatchObject([
      { kind: 'message-size', repaired: false, failure: expect.stringContaining('msadm undelete') },
    ])
    expect(readFileSync(path, 'utf8')).toBe('short')
    {
      await using store = storeIn(tree.root, { clock: later })
      const [removed] = await store.account(user).removed()
      await store.account(user).restore(removed!.id)
    }
    expect((await check(tree.root, { repair: true })).findings).toMatchObject([
      { kind: 'message-size', repaired: true },
    ])
    expect((await check(tree.root)).findings).toEqual([])
  })

  it('takes a removed mailbox that is brought back while it is looked at for no damage', async () => {
    const tree = await plantedStore()
    const [claimed, look, emptied, done] = Array.from({ length: 4 }, () => Promise.withResolvers<void>())
    await using store = storeIn(tree.root, {
      fs: {
        ...nodeFs,
        write: async (path, ...pieces) => {
          claimed!.resolve()
          await look!.promise
          return await nodeFs.write(path, ...pieces)
        },
        rename: async (from, to) => {
          if (/gone\/log$/.test(to)) {
            emptied!.resolve()
            await done!.promise
          }
          return await nodeFs.rename(from, to)
        },
      },
    })
    const [removed] = await store.account(user).removed()
    const restored = store.account(user).restore(removed!.id)
    await claimed!.promise
    const fs: StoreFs = {
      ...nodeFs,
      status: async (path) => {
        if (/\.removed\/[^/]+\/msg\//.test(path)) {
          look!.resolve()
          await emptied!.promise
        }
        return await nodeFs.status(path)
      },
    }
    expect((await check(tree.root, { fs, now: true })).findings).toEqual([])
    done!.resolve()
    expect(await restored).toBe('Gone')
  })

  it('brings back a removed mailbox whose name was lost under another one', async () => {
    const tree = await plantedStore()
    writeFileSync(`${removedIn(tree)}/about`, '')
    await check(tree.root, { repair: true })
    await using store = storeIn(tree.root, { clock: later })
    const [removed] = await store.account(user).removed()
    expect(removed).toMatchObject({ name: 'Removed', messages: 1 })
    expect(await store.account(user).restore(removed!.id)).toBe('Removed')
  })

  it('ends the making of an account that did not come to its end', async () => {
    const { root } = await plantedStore()
    const attempt = `${root}/.places/new@example.com/abc127`
    mkdirSync(`${attempt}/new`, { recursive: true, mode: 0o700 })
    expect((await check(root, { now: true })).findings).toEqual([])
    const fs: StoreFs = {
      ...nodeFs,
      status: async (path) => {
        const status = await nodeFs.status(path)
        return path.startsWith(attempt) ? { ...status, changedMs: status.changedMs - 2 * 86_400_000 } : status
      },
    }
    expect((await check(root, { fs })).kinds).toEqual(['account-way'])
    const { findings } = await check(root, { fs, repair: true })
    expect(findings).toMatchObject([{ kind: 'account-way', userId: 'new@example.com', repaired: true }])
    expect(readdirSync(root)).not.toContain('.places')
  })

  it('repairs a damaged message where it is: flags and date stay, its origin is not deleted at the backend, no UID comes twice', async () => {
    const tree = await plantedStore()
    const [file] = messageFiles(tree).filter((name) => name.includes('O=pop%3Ahost%2F1,'))
    unlinkSync(`${tree.inbox}/msg/${file}`)
    await check(tree.root, { repair: true })
    await using store = storeIn(tree.root, { clock: later })
    await using inbox = await store.account(user).open('INBOX')
    expect(inbox.byUid(uids(1)[0]!)).toBeUndefined()
    const stub = [...inbox.messages].at(-1)!
    expect(stub).toMatchObject({ uid: 8, internalDate: 1_700_000_000, origin: undefined, uidl: undefined })
    expect([...stub.flags].sort()).toEqual(['$Forwarded', '\\Seen'])
    // "window": the backend keeps it, and is asked for it again.
    expect(inbox.byOrigin('pop:host/1')).toMatchObject({ present: false, cause: 'window' })
    await using content = await inbox.content(stub)
    const octets = (await content.read(0, content.sizeOctets)).toString()
    expect(octets).toContain('Subject: A message was damaged in the mail store\r\n')
    expect(octets).toContain('Date: Tue, 14 Nov 2023 22:13:20 +0000\r\n')
    expect(octets).toContain('Origin: pop:host/1\r\n')
    expect(octets.replaceAll('\r\n', '')).not.toMatch(/[\r\n]/)
  })

  it('keeps what is left of a damaged message, under its own path', async () => {
    const tree = await plantedStore()
    const [file] = messageFiles(tree)
    const octets = readFileSync(`${tree.inbox}/msg/${file}`)
    const [damage] = damages
    await damage!.plant(tree)
    const hurt = messageFiles(tree)[1]!
    await check(tree.root, { repair: true })
    const kept = `${tree.account}/.quarantine/INBOX/msg/${hurt}`
    expect(readFileSync(kept)).toHaveLength(octets.length)
    expect(readdirSync(`${tree.inbox}/msg`)).not.toContain(hurt)
    // The same name again takes nothing's place.
    mkdirSync(`${tree.inbox}/.git`)
    await check(tree.root, { repair: true })
    mkdirSync(`${tree.inbox}/.git`)
    await check(tree.root, { repair: true })
    expect(readdirSync(`${tree.account}/.quarantine/INBOX`)).toEqual(['.git', '.git.2', 'msg'])
  })

  it('tells of another owner, and sets it where it may', async () => {
    const tree = await plantedStore()
    const path = `${tree.inbox}/msg/${messageFiles(tree)[0]}`
    let owner = 4321
    const fs: StoreFs = {
      ...nodeFs,
      status: async (of) => ({ ...(await nodeFs.status(of)), ...(of === path && { owner }) }),
      setOwner: async (of, to) => {
        expect(of).toBe(path)
        owner = to
      },
    }
    expect((await check(tree.root, { fs })).kinds).toEqual(['owner'])
    expect((await check(tree.root, { fs, repair: true })).findings).toMatchObject([{ kind: 'owner', repaired: true }])
    expect(owner).toBe(lstatSync(tree.account).uid)
    expect((await check(tree.root, { fs })).findings).toEqual([])
    owner = 4321
    const refused = { ...fs, setOwner: () => Promise.reject(Object.assign(new Error('EPERM'), { code: 'EPERM' })) }
    const { findings } = await check(tree.root, { fs: refused, repair: true })
    expect(findings).toMatchObject([{ kind: 'owner', repaired: false, failure: 'EPERM' }])
  })

  it('takes no message away that the disk does not give out now', async () => {
    const tree = await plantedStore()
    const hurt = messageFiles(tree)[0]!
    const fs: StoreFs = {
      ...nodeFs,
      open: (path) =>
        path.endsWith(`INBOX/msg/${hurt}`)
          ? Promise.reject(Object.assign(new Error('EIO'), { code: 'EIO' }))
          : nodeFs.open(path),
    }
    const { findings } = await check(tree.root, { fs, repair: true })
    expect(findings).toMatchObject([{ kind: 'unreadable', severity: 'damage', detail: 'EIO', repaired: false }])
    expect(messageFiles(tree)).toContain(hurt)
    expect((await check(tree.root)).findings).toEqual([])
  })

  for (const [what, change] of Object.entries({
    'a message that leaves': async (tree: Tree) => {
      await using store = storeIn(tree.root)
      await using inbox = await store.account(user).open('INBOX')
      const { uid, file } = inbox.messages.at(0)!
      await inbox.expunge([uid], 'client')
      unlinkSync(`${tree.inbox}/msg/${file}`)
    },
    'a mailbox that is emptied': async ({ root }: Tree) => {
      await using store = storeIn(root)
      await store.account(user).create('Newer')
      await using inbox = await store.account(user).open('INBOX')
      const all = Array.from(inbox.messages, ({ uid }) => uid)
      await using newer = await store.account(user).open('Newer')
      await inbox.moveTo(all, newer)
      for (const file of readdirSync(`${root}/${user}/INBOX/msg`)) unlinkSync(`${root}/${user}/INBOX/msg/${file}`)
    },
    'a mailbox that is removed': async ({ root }: Tree) => {
      await using store = storeIn(root)
      const account = store.account(user)
      await account.remove('Archive/2024')
    },
    'a mailbox that is renamed': async ({ root }: Tree) => {
      await using store = storeIn(root)
      await store.account(user).rename('Archive', 'Store')
    },
  }))
    it(`takes ${what} while it is looked at for no damage`, async () => {
      const tree = await plantedStore()
      let changed = false
      const where = /removed|renamed/.test(what) ? '2024' : 'INBOX'
      const fs: StoreFs = {
        ...nodeFs,
        status: async (path) => {
          if (!changed && path.includes(`/${where}/msg/`)) {
            changed = true
            await change(tree)
          }
          return await nodeFs.status(path)
        },
      }
      expect((await check(tree.root, { fs, now: true })).findings).toEqual([])
      expect(changed).toBe(true)
    })

  it('finds nothing while others deliver, expunge, copy, make and remove mailboxes, and cut epochs', async () => {
    const { root } = await plantedStore()
    let working = true
    onTestFinished(() => {
      working = false
    })
    let rounds = 0
    const work = async (name: string) => {
      await using store = storeIn(root, { epochEntries: 6 })
      const account = store.account(user)
      for (let round = 1; working; round += 1) {
        await using inbox = await account.open('INBOX')
        await deliverAll(inbox, [{ text: text(`${name} ${round}`) }, { text: text(`${name} again`) }])
        const there = Array.from(inbox.messages, ({ uid }) => uid)
        await inbox.changeFlags({ uids: there.slice(-9), mode: 'add', flags: [`k${round % 3}`] })
        await inbox.summary(inbox.messages.at(inbox.messages.length - 1)!).catch(() => {})
        if (round % 2 === 0) await inbox.expunge(there.slice(2, 4), 'client')
        if (round % 5 === 0) {
          await account.create(name)
          await using other = await account.open(name)
          await inbox.copyTo(there.slice(0, 2), other)
        }
        if (round % 5 === 2 && round > 5) await account.rename(name, `${name}-moved`)
        if (round % 5 === 3 && round > 5) await account.remove(`${name}-moved`)
        rounds += 1
      }
    }
    const workers = Promise.all([work('ann'), work('bob')])
    for (let run = 0; run < 12 || rounds < 60; run += 1)
      expect((await check(root, { now: true, deep: false })).findings).toEqual([])
    working = false
    await workers
    expect((await check(root, { now: true })).findings).toEqual([])
  })
})
