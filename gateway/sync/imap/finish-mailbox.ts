/** The deletions of a pass, when every mailbox has got what is new. */
import type { Mailbox } from '#src/store/types.ts'
import type { MailboxRest } from './mailbox-pass.ts'
import { originOf } from './origin.ts'
import type { PassRequest } from './pass.ts'
import { deleteMessages, openAgain } from './remote.ts'

export interface Finished {
  readonly expungedHere: number
  readonly pushedOut: number
  readonly deletedThere: number
  readonly rest: MailboxRest
}

/** `keepThere`: nothing is deleted at the backend now. Throws BackendError and StoreError. */
export async function finishMailbox(request: PassRequest, rest: MailboxRest, keepThere: boolean): Promise<Finished> {
  const { session, url } = request
  const { mailbox, plan, path, uidValidity } = rest
  const expunged = plan.expungeHere.length > 0 ? await mailbox.expunge(plan.expungeHere, 'backend') : []
  const pushedOut = plan.pushOut.length > 0 ? await mailbox.expunge(plan.pushOut, 'window') : []
  // They are gone there: nobody has to remember that they came from there.
  const origins = [
    ...plan.forget.map((uid) => originOf(url, uidValidity, uid)),
    ...originsOf(mailbox, new Set(expunged)),
  ]
  if (origins.length > 0) await mailbox.forget(origins)
  let deletedThere = 0
  if (plan.deleteThere.length > 0 && !keepThere) {
    await openAgain(session.control, path, uidValidity)
    deletedThere = (await deleteMessages(session.control, plan.deleteThere)).length
  }
  const isLeft = deletedThere < plan.deleteThere.length
  return {
    expungedHere: expunged.length,
    pushedOut: pushedOut.length,
    deletedThere,
    rest: isLeft ? { ...rest, mark: { ...rest.mark, again: true } } : rest,
  }
}

function originsOf(mailbox: Mailbox, left: ReadonlySet<number>): string[] {
  if (left.size === 0) return []
  return [...mailbox.departed()].flatMap(([origin, { uid }]) => (left.has(uid) ? [origin] : []))
}
