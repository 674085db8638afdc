/** What a user sees of others' mailboxes when something is wrong with one of them. */
import { mkdtemp, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { systemClock } from '#src/base/clock.ts'
import type { UserId } from '#src/base/ids.ts'
import { silentLog } from '#src/base/log.ts'
import { configOf } from '#src/config/config.ts'
import { Hierarchy } from '#src/sharing/hierarchy.ts'
import { changeAcl } from '#src/sharing/personal-acl.ts'
import { parseRights } from '#src/sharing/rights.ts'
import { sharingOf } from '#src/sharing/sharing.ts'
import { openStore } from '#src/store/store.ts'

const [ann, bob, eve] = ['ann@a.example' as UserId, 'bob@a.example' as UserId, 'eve@a.example' as UserId]

test('RFC 4314 §4: one account that can not be read does not take those of others from a list', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'hierarchy-'))
  onTestFinished(() => rm(directory, { recursive: true, force: true }))
  await using store = openStore({ root: join(directory, 'user'), clock: systemClock, log: silentLog })
  for (const owner of [ann, bob]) {
    await store.account(owner).ensure()
    await changeAcl(store, owner, 'INBOX', eve, { mode: 'set', rights: parseRights('lr') })
  }
  // Of a later version, say.
  const { mailboxId } = await store.account(ann).status('INBOX')
  await store.account(ann).put({ [`acl ${mailboxId}`]: { [eve]: 'lrn' } })
  const told: unknown[] = []
  const log = { ...silentLog, log: (...record: unknown[]) => told.push(record) }
  const hierarchy = new Hierarchy(eve, store, () => sharingOf(configOf()), log)
  const seen = async () => (await hierarchy.listOthers()).flatMap(({ name, selectable }) => (selectable ? [name] : []))
  expect(await seen()).toEqual([`Other Users/${ann}/INBOX`, `Other Users/${bob}/INBOX`])
  expect(told).toEqual([])
  await rm(join(directory, 'user', bob), { recursive: true })
  await symlink(bob, join(directory, 'user', bob))
  expect(await seen()).toEqual([`Other Users/${ann}/INBOX`])
  expect(told).toEqual([['err', expect.any(String), expect.objectContaining({ whose: bob })]])
})
