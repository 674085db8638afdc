/** msadm del and what was shared: a name that is free again is nobody in particular. ACL-01 */
import { expect, it } from 'vitest'
import type { UserId } from '#src/base/ids.ts'
import { aclOf, changeAcl } from '#src/sharing/personal-acl.ts'
import { parseRights } from '#src/sharing/rights.ts'
import { newPlace } from './support.ts'

const [joe, anna, pat] = ['joe@a.example', 'anna@a.example', 'pat@a.example'] as UserId[] as [UserId, UserId, UserId]

it('who comes by the name of a removed user has none of the rights that were given to that user; with -k they stay', async () => {
  const { call, mail } = await newPlace()
  for (const name of ['joe', 'anna', 'pat']) await call(['add', '-d', name])
  const rights = parseRights('lr')
  await mail(joe, async (account, store) => {
    for (const owner of [joe, anna]) await store.account(owner).ensure()
    await changeAcl(store, anna, 'INBOX', joe, { mode: 'set', rights })
    await changeAcl(store, anna, 'INBOX', `-${joe}`, { mode: 'set', rights: parseRights('w') })
    await changeAcl(store, anna, 'INBOX', pat, { mode: 'set', rights })
    await changeAcl(store, joe, 'INBOX', pat, { mode: 'set', rights })
    expect(await account.exists()).toBe(true)
  })
  const granted = () =>
    mail(anna, async (account, store) => ({
      acl: [...(await aclOf(account, (await account.status('INBOX')).mailboxId)).keys()].sort(),
      seenByJoe: await store.sharers.of(joe),
      seenByPat: await store.sharers.of(pat),
    }))
  expect((await call(['del', '-k', 'joe'])).out).toBe('removed joe@a.example (account)\n')
  expect(await granted()).toEqual({ acl: [`-${joe}`, joe, pat], seenByJoe: [anna], seenByPat: [anna, joe] })
  expect((await call(['del', 'joe'])).out).toBe('removed joe@a.example (mail)\n')
  expect(await granted()).toEqual({ acl: [pat], seenByJoe: [], seenByPat: [anna] })
  // One without mail, whom others had given something.
  expect((await call(['del', 'pat'])).out).toBe('removed pat@a.example (account)\n')
  expect(await granted()).toEqual({ acl: [], seenByJoe: [], seenByPat: [] })
})
