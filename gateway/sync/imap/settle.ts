/** The end of a migration: what was announced and did not come is shown by notices, since nobody asks for it any more. docs/decisions/0025-announced-first.md */
import { StoreError } from '#src/base/errors.ts'
import type { Uid } from '#src/base/ids.ts'
import type { Account, Mailbox } from '#src/store/types.ts'
import { missingStub, showStubs } from '../stub.ts'

/** In one delivery. */
const noticesAtOnce = 500

/** `now`: seconds since 1970. Answers how many there were. Throws StoreError; doing it again does the rest. */
export async function settleAnnounced(account: Account, now: number): Promise<number> {
  let count = 0
  for (const { name, selectable } of await account.list()) {
    if (!selectable) continue
    try {
      await using mailbox = await account.open(name)
      await mailbox.refresh()
      const uids = [...mailbox.messages.announced()]
      for (let at = 0; at < uids.length; at += noticesAtOnce)
        count += await giveUp(mailbox, uids.slice(at, at + noticesAtOnce), now)
    } catch (error) {
      // Removed meanwhile, with all that was in it.
      if (!(error instanceof StoreError) || error.kind !== 'not-found') throw error
    }
  }
  return count
}

/** Taken out first: one that comes at this moment has no notice beside it. */
async function giveUp(mailbox: Mailbox, uids: readonly Uid[], now: number): Promise<number> {
  const stubs = new Map(
    uids.flatMap((uid) => {
      const record = mailbox.byUid(uid)
      if (record?.origin === undefined) return []
      return [[uid, { ...missingStub(record.origin, undefined, why), internalDate: record.internalDate }] as const]
    }),
  )
  const gone = await mailbox.withdraw(uids)
  await showStubs(
    mailbox,
    gone.flatMap((uid) => stubs.get(uid) ?? []),
    now,
  )
  return gone.length
}

const why = 'told of it and did not give it as long as it was asked'
