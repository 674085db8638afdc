/** Which actions may stand beside one another, and which are the same. RFC 5228 §2.10, RFC 5429 §2.4 */

import type { Action, FileintoAction, KeepAction } from './types.ts'

/** Refusing a message and delivering or answering it exclude one another. */
const refusals: ReadonlySet<Action['type']> = new Set(['reject', 'ereject'])
const deliveries: ReadonlySet<Action['type']> = new Set(['keep', 'fileinto', 'redirect', 'vacation'])

/** Why the action can't be taken; undefined: it can. */
export function conflict(actions: readonly Action[], added: Action): string | undefined {
  for (const { type } of actions) {
    if (refusals.has(added.type) && refusals.has(type))
      return `the message is rejected already: "${added.type}" can't follow "${type}"`
    if ((refusals.has(added.type) && deliveries.has(type)) || (refusals.has(type) && deliveries.has(added.type)))
      return `"${added.type}" can't follow "${type}": a message is either rejected or delivered`
    if (added.type === 'vacation' && type === 'vacation') return 'there can be only one "vacation" for a message'
  }
  return undefined
}

/** The list with the action; the same list when it does nothing new. §2.10.3 */
export function withAction(actions: readonly Action[], added: Action): readonly Action[] {
  const key = placeOf(added)
  const index = key === undefined ? -1 : actions.findIndex((action) => placeOf(action) === key)
  if (index < 0) return [...actions, added]
  const merged = merge(actions[index]!, added)
  return merged === actions[index] ? actions : actions.with(index, merged)
}

export const cancelsKeep = (action: Action): boolean => {
  switch (action.type) {
    case 'keep':
    case 'discard':
    case 'reject':
    case 'ereject':
      return true
    case 'fileinto':
    case 'redirect':
      return !action.copy
    default:
      return false
  }
}

/** Where a message goes: one copy is enough there. */
function placeOf(action: Action): string | undefined {
  switch (action.type) {
    case 'keep':
      return 'mailbox INBOX'
    case 'fileinto':
      return `mailbox ${/^inbox$/i.test(action.mailbox) ? 'INBOX' : action.mailbox} ${action.specialUse ?? ''}`.trimEnd()
    case 'redirect':
      return `redirect ${action.list ?? ''} ${action.address}`
    case 'discard':
      return 'discard'
    case 'remember-duplicate':
      return `remember ${action.handle} ${action.id}`
    default:
      return undefined
  }
}

/** One copy, and the flags that were said last. RFC 5232 §3 */
function merge(first: Action, second: Action): Action {
  const isStored = (action: Action): action is KeepAction | FileintoAction =>
    action.type === 'keep' || action.type === 'fileinto'
  return isStored(first) && isStored(second) && second.flags !== undefined ? { ...first, flags: second.flags } : first
}
