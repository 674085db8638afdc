/** The mailbox that APPEND, COPY and MOVE write to. */

import { StoreError } from '../base/errors.ts'
import type { Uid } from '../base/ids.ts'
import type { Addition } from '../server/quotas.ts'
import type { Account, Flag, Mailbox } from '../store/types.ts'
import { Refusal } from './replies.ts'
import type { Session } from './session.ts'
import { rightFor } from './view.ts'

export interface Target {
  /** To be closed by the caller. */
  readonly mailbox: Mailbox
  readonly account: Account
  /** These messages are there now: the session put them there. */
  put(uids: readonly Uid[]): void
  /** Whether a message keeps the flag there. RFC 4314 §4 */
  keepsFlag(flag: Flag): boolean
  /** For an early answer: `adding` decides. Throws StoreError over-quota. */
  checkRoom(addition: Addition): Promise<void>
  /** Does the work, which adds so much, where there is room for it. Throws StoreError over-quota, no-permission and not-found when the right is gone, and what the work throws. */
  adding<T>(addition: Addition, work: () => Promise<T>): Promise<T>
}

/** Throws Refusal with TRYCREATE where CREATE would help, RFC 3501 §7.1; StoreError. */
export async function openTarget(session: Session, name: string): Promise<Target> {
  const { hierarchy, services } = session
  try {
    const { name: canonical, account, local, rights, rightsOn, isShared } = await hierarchy.permit(name, 'i')
    const { quotas } = services
    return {
      mailbox: await account.open(local),
      account,
      put: (uids) => {
        if (session.isSelected(account, local)) session.view.notePutItself(uids)
        session.didItself({ addedTo: canonical, messages: uids.length })
      },
      keepsFlag: (flag) => rights.has(rightFor(flag)),
      // SHR-09
      checkRoom: async (addition) => (isShared ? undefined : quotas.check(account, addition)),
      adding: async (addition, work) => {
        // A message may take minutes to come: the right to put it there may be gone.
        if (rightsOn !== undefined) await hierarchy.permit(name, 'i')
        return isShared ? await work() : await quotas.adding(account, addition, work)
      },
    }
  } catch (error) {
    if (error instanceof StoreError && error.kind === 'not-found' && (await hierarchy.mayCreate(name)))
      throw new Refusal('NO', 'TRYCREATE', 'No such mailbox, it can be created')
    throw error
  }
}
