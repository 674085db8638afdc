/** The mailbox that APPEND, COPY and MOVE write to. */

import { StoreError } from '../base/errors.ts'
import type { Mailbox } from '../store/types.ts'
import { Refusal } from './replies.ts'
import type { Session } from './session.ts'

/** To be closed by the caller. Throws Refusal with TRYCREATE where CREATE would help. RFC 3501 §7.1 */
export async function openTarget(session: Session, name: string): Promise<Mailbox> {
  try {
    return await session.account.open(name)
  } catch (error) {
    if (error instanceof StoreError && error.kind === 'not-found')
      throw new Refusal('NO', 'TRYCREATE', 'No such mailbox, it can be created')
    throw error
  }
}
