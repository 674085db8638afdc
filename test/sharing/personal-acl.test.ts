/** Lists of personal mailboxes, in the store. */
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { systemClock } from '#src/base/clock.ts'
import type { UserId } from '#src/base/ids.ts'
import { silentLog } from '#src/base/log.ts'
import { aclOf, changeAcl, deleteAcl, forgetInAcls, renameInAcls } from '#src/sharing/personal-acl.ts'
import { formatRights, parseRights } from '#src/sharing/rights.ts'
import { openStore } from '#src/store/store.ts'
import type { Store } from '#src/store/types.ts'

const [ann, bob, eve] = ['ann@a.example' as UserId, 'bob@a.example' as UserId, 'eve@a.example' as UserId]

async function stores() {
  const directory = await mkdtemp(join(tmpdir(), 'acl-'))
  const open = () => openStore({ root: join(directory, 'user'), clock: systemClock, log: silentLog })
  const [one, other] = [open(), open()]
  onTestFinished(async () => {
    await one.close()
    await other.close()
    await rm(directory, { recursive: true, force: true })
  })
  for (const user of [ann, bob]) {
    await one.account(user).ensure()
    await one.account(user).create('Plans')
  }
  return { one, other }
}

const set = (store: Store, owner: UserId, who: string, rights: string, mode: 'set' | 'add' = 'set') =>
  changeAcl(store, owner, 'Plans', who, { mode, rights: parseRights(rights) })
const listOf = async (store: Store, owner: UserId) => {
  const account = store.account(owner)
  const acl = await aclOf(account, (await account.status('Plans')).mailboxId)
  return Object.fromEntries(Array.from(acl, ([who, rights]) => [who, formatRights(rights)]))
}

test('rights that several processes give at once add up', async () => {
  const { one, other } = await stores()
  await Promise.all(
    [...'rswite'].flatMap((right, index) => [
      set(index % 2 === 0 ? one : other, ann, eve, right, 'add'),
      set(index % 2 === 0 ? other : one, ann, `user${index}`, right),
    ]),
  )
  const list = await listOf(other, ann)
  expect(list[eve]).toBe('lrswite')
  expect(Object.keys(list)).toHaveLength(7)
})

test('whoever is given rights while others take theirs is noted', async () => {
  const { one, other } = await stores()
  for (let round = 0; round < 20; round++) {
    await set(one, ann, eve, 'lr')
    await Promise.all([deleteAcl(one, ann, 'Plans', eve), set(other, ann, eve, 'lrs')])
    const has = Object.hasOwn(await listOf(one, ann), eve)
    const noted = (await one.sharers.of(eve)).includes(ann)
    if (has) expect(noted).toBe(true)
  }
})

test('a list has its limit', async () => {
  const { one } = await stores()
  const account = one.account(ann)
  const { mailboxId } = await account.status('Plans')
  await account.put({
    [`acl ${mailboxId}`]: Object.fromEntries(Array.from({ length: 1000 }, (_, n) => [`u${n}@x`, 'lr'])),
  })
  await expect(set(one, ann, eve, 'lr')).rejects.toMatchObject({ kind: 'limit' })
  expect(await one.sharers.of(eve)).toEqual([])
  await set(one, ann, 'u5@x', 'lrs')
})

test('rights follow a user who gets another id', async () => {
  const { one, other } = await stores()
  await set(one, ann, bob, 'lrs')
  await set(one, ann, `-${bob}`, 's')
  await set(one, bob, 'anyone', 'lr')
  const rob = 'rob@a.example' as UserId
  await one.account(rob).ensure()
  await one.account(rob).create('Plans')
  await set(one, rob, 'anyone', 'lr')
  await one.sharers.remove('anyone', rob)
  await renameInAcls(one, bob, rob)
  expect(await listOf(other, ann)).toEqual({ [rob]: 'lrs', [`-${rob}`]: 's' })
  expect(await other.sharers.of(rob)).toEqual([ann])
  expect(await other.sharers.of(bob)).toEqual([])
  expect(await other.sharers.of('anyone')).toEqual([rob])
  // Again, after an interruption.
  await renameInAcls(one, bob, rob)
  expect(await listOf(other, ann)).toEqual({ [rob]: 'lrs', [`-${rob}`]: 's' })
})

test('what is taken from a user is taken under the new id, too', async () => {
  const { one } = await stores()
  await set(one, ann, 'anyone', 'lr')
  await set(one, ann, `-${bob}`, 'l')
  await one.account(eve).ensure()
  await renameInAcls(one, bob, eve)
  expect(await listOf(one, ann)).toEqual({ anyone: 'lr', [`-${eve}`]: 'l' })
})

test('nobody is noted who is not in a list', async () => {
  const { one } = await stores()
  await set(one, ann, eve, '')
  expect(await one.sharers.of(eve)).toEqual([])
})

test('what takes rights from a user is not touched for another one whose id looks like it', async () => {
  const { one } = await stores()
  const like = `-${bob}` as UserId
  await set(one, ann, 'anyone', 'lr')
  await set(one, ann, like, 'lr')
  await one.sharers.add(like, ann)
  await one.account(like).ensure()
  await one.account(eve).ensure()
  await renameInAcls(one, like, eve)
  await forgetInAcls(one, like)
  expect(await listOf(one, ann)).toEqual({ anyone: 'lr', [like]: 'lr' })
})

test('rights go along when an account is moved', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'acl-'))
  onTestFinished(() => rm(directory, { recursive: true, force: true }))
  await mkdir(join(directory, 'second'))
  await using store = openStore({
    root: join(directory, 'user'),
    partitions: [join(directory, 'second')],
    partitionRule: 'first',
    clock: systemClock,
    log: silentLog,
  })
  await store.account(ann).ensure()
  await store.account(ann).create('Plans')
  await set(store, ann, eve, 'lrs')
  await store.move(ann, join(directory, 'second'))
  expect((await store.account(ann).locate()).root).toBe(join(directory, 'second'))
  expect(await listOf(store, ann)).toEqual({ [eve]: 'lrs' })
  expect(await store.sharers.of(eve)).toEqual([ann])
})
