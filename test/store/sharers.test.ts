/** What the store keeps for sharing: notes of who shares, values that several change, trees that belong to nobody. */
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { systemClock } from '#src/base/clock.ts'
import type { UserId } from '#src/base/ids.ts'
import { silentLog } from '#src/base/log.ts'
import { changeAcl } from '#src/sharing/personal-acl.ts'
import { parseRights } from '#src/sharing/rights.ts'
import { nodeFs } from '#src/store/fs.ts'
import { openStore } from '#src/store/store.ts'
import type { Finding } from '#src/store/verify/finding.ts'
import { type VerifyOptions, verify } from '#src/store/verify/verify.ts'

const [alice, bob] = ['alice@example.org' as UserId, 'Bob/x@example.org' as UserId]

async function stores() {
  const directory = await mkdtemp(join(tmpdir(), 'sharers-'))
  const open = () => openStore({ root: join(directory, 'user'), clock: systemClock, log: silentLog })
  const [one, other] = [open(), open()]
  onTestFinished(async () => {
    await one.close()
    await other.close()
    await rm(directory, { recursive: true, force: true })
  })
  return { directory, one, other }
}

test('who shares with whom is known to every process', async () => {
  const { directory, one, other } = await stores()
  expect(await other.sharers.of('anyone')).toEqual([])
  await one.sharers.add('anyone', bob)
  await one.sharers.add('anyone', alice)
  await other.sharers.add('anyone', bob)
  await one.sharers.add('group:Staff', bob)
  expect(await other.sharers.of('anyone')).toEqual([bob, alice])
  expect(await other.sharers.of('group:Staff')).toEqual([bob])
  expect(await other.sharers.of('group:staff')).toEqual([])
  await other.sharers.remove('anyone', bob)
  await other.sharers.remove('anyone', bob)
  expect(await one.sharers.of('anyone')).toEqual([alice])
  await one.sharers.remove('group:Staff', bob)
  expect(await readdir(join(directory, 'user', '.shares'))).toEqual(['anyone'])
  for (let round = 0; round < 20; round += 1) {
    await Promise.all([one.sharers.add('carol', bob), other.sharers.add('carol', alice)])
    await Promise.all([one.sharers.remove('carol', bob), other.sharers.add('carol', alice)])
    await Promise.all([one.sharers.remove('carol', alice), other.sharers.add('carol', bob)])
    expect(await other.sharers.of('carol')).toEqual([bob])
  }
  // No account, and nothing that a check of the store minds.
  const accounts: UserId[] = []
  for await (const userId of one.accounts()) accounts.push(userId)
  expect(accounts).toEqual([])
})

test('changes of one value, at once and from several processes, add up', async () => {
  const { one, other } = await stores()
  await one.account(alice).ensure()
  const add = (word: string) => (value: unknown) => [...((value as readonly string[] | undefined) ?? []), word]
  const words = Array.from({ length: 20 }, (_, index) => `${index}`)
  await Promise.all(
    words.map((word, index) => (index % 2 === 0 ? one : other).account(alice).update('words', add(word))),
  )
  expect(new Set((await one.account(alice).get('words')) as string[])).toEqual(new Set(words))
  await other.account(alice).update('words', () => undefined)
  expect(await one.account(alice).get('words')).toBeUndefined()
})

test('a tree is an account in a directory of its own', async () => {
  const { directory, one, other } = await stores()
  const path = join(directory, 'shared', 'Team')
  const tree = one.tree('Shared Folders/Team', path)
  expect(await tree.exists()).toBe(false)
  await tree.ensure()
  await tree.create('Offers')
  expect(await readdir(path)).toEqual(expect.arrayContaining(['INBOX', '^offers', 'log']))
  expect((await other.tree('Shared Folders/Team', path).list()).map(({ name }) => name)).toEqual(['INBOX', 'Offers'])
  await tree.destroy()
  expect(await readdir(join(directory, 'shared'))).toEqual([])
  expect(await other.tree('Shared Folders/Team', path).exists()).toBe(false)
})

const check = async (directory: string, repair: boolean, more: Partial<VerifyOptions> = {}) => {
  const findings: Finding[] = []
  await verify({
    fs: nodeFs,
    clock: systemClock,
    repair,
    deep: true,
    openStore: () => openStore({ root: join(directory, 'user'), clock: systemClock, log: silentLog }),
    roots: [join(directory, 'user')],
    onFinding: (finding) => findings.push(finding),
    onStep: () => {},
    ...more,
  })
  return findings.map(({ kind, userId, repaired }) => [kind, userId, repaired])
}

test('msadm verify finds a note that is missing, and makes it', async () => {
  const { directory, one } = await stores()
  const account = one.account(alice)
  await account.ensure()
  await account.create('Plans')
  for (const who of ['anyone', bob])
    await changeAcl(one, alice, 'Plans', who, { mode: 'set', rights: parseRights('lr') })
  await changeAcl(one, alice, 'Plans', '-group:staff', { mode: 'set', rights: parseRights('l') })
  expect(await check(directory, false)).toEqual([])
  await one.sharers.remove('anyone', alice)
  expect(await check(directory, false)).toEqual([['share-unnoted', alice, undefined]])
  expect(await one.sharers.of('anyone')).toEqual([])
  expect(await check(directory, true)).toEqual([['share-unnoted', alice, true]])
  expect(await one.sharers.of('anyone')).toEqual([alice])
  expect(await check(directory, true)).toEqual([])
})

test('msadm verify checks and repairs the trees of shared roots', async () => {
  const { directory, one } = await stores()
  await one.account(alice).ensure()
  const path = join(directory, 'shared', 'Team')
  const name = 'Shared Folders/Team'
  const tree = one.tree(name, path)
  await tree.ensure()
  await one.close()
  const [epoch] = await readdir(join(path, 'INBOX/log'))
  await rm(join(path, 'INBOX/log', epoch!), { recursive: true })
  const trees = [{ name, directory: path }]
  expect(await check(directory, false, { trees })).toEqual([['log-base', name, undefined]])
  expect(await check(directory, true, { trees })).toEqual([['log-base', name, true]])
  expect(await check(directory, true, { trees })).toEqual([])
  expect(await readdir(join(directory, 'user'))).toEqual([alice])
})
