/**
 * Two trees of mailboxes in, operations out. What was agreed in the last pass tells who changed what. No input or output, no clock.
 *
 * The written rule for conflicts:
 * - a mailbox that was renamed on both sides keeps the backend's name;
 * - one that can't have its new name on the other side stays the same one, under two names;
 * - a mailbox is removed on one side because somebody removed it on the other, and only while nothing is in it that the other never saw:
 *   else it is made again where it was removed;
 * - what disappears there is believed only from a listing that has INBOX, and many at once only when they stay away.
 */
import type { MailboxId } from '#src/base/ids.ts'
import { type NamePolicy, pairNames, pathThere, withMark } from './names.ts'
import type { Suspicion } from './plan.ts'

export interface MailboxThere {
  readonly path: string
  readonly delimiter: string | undefined
  /** The server's own id, which a rename keeps. RFC 8474 */
  readonly id: string | undefined
  readonly subscribed: boolean
  /** What it is used for, as the server says, or else its name in some language. RFC 6154 */
  readonly use?: string | undefined
}

export interface MailboxHere {
  readonly name: string
  readonly id: MailboxId
  /** It holds messages that the backend never had. */
  readonly hasOwn: boolean
}

/** A mailbox there and one here that are the same, as of the last pass. */
export interface Pair {
  readonly path: string
  readonly idThere: string | undefined
  readonly name: string
  readonly idHere: MailboxId
  readonly subscribed: boolean
  /** The backend refused to rename it to the name that it has here. */
  readonly isStuck?: true
}

export interface TreeInput {
  readonly there: readonly MailboxThere[]
  /** Those that are this backend's. */
  readonly here: readonly MailboxHere[]
  /** Names here of mailboxes that are other backends'. */
  readonly occupied: ReadonlySet<string>
  /** Names here that are no mailboxes and have some below them: nothing can be renamed to such a name. */
  readonly levels: ReadonlySet<string>
  readonly subscribedHere: ReadonlySet<string>
  readonly pairs: readonly Pair[]
  /** Paths there that changed since the last pass: something may be in them that was never seen here. */
  readonly changedThere: ReadonlySet<string>
  readonly policy: NamePolicy & { readonly inboxOnly: boolean }
  readonly suspicion: Suspicion | undefined
  /** Seconds since 1970. */
  readonly now: number
}

export interface Rename {
  readonly from: string
  readonly to: string
}

export interface TreePlan {
  /** In this order: parents first, and what moves along with them is left out. */
  readonly renameHere: readonly Rename[]
  readonly renameThere: readonly Rename[]
  readonly removeHere: readonly string[]
  readonly removeThere: readonly string[]
  readonly createHere: readonly string[]
  readonly createThere: readonly string[]
  /** What stands for what when all that is done; of mailboxes that are made, the ids are missing. */
  readonly paired: readonly { readonly path: string; readonly name: string }[]
  /** Names here. */
  readonly subscribeHere: readonly string[]
  readonly unsubscribeHere: readonly string[]
  /** Paths there. */
  readonly subscribeThere: readonly string[]
  readonly unsubscribeThere: readonly string[]
  readonly suspicion: Suspicion | undefined
  /** So many mailboxes are missing there, and that is not believed (yet). */
  readonly held: number
}

/** Missing mailboxes up to this number are believed at once. */
const believedCount = 3
const confirmPasses = 3
const confirmSeconds = 86_400

export function planTree(input: TreeInput): TreePlan {
  const { policy, pairs, changedThere } = input
  const there = input.there.filter(({ path }) => !policy.inboxOnly || path.toUpperCase() === 'INBOX')
  const byPath = new Map(there.map((mailbox) => [mailbox.path, mailbox]))
  const byIdThere = new Map(
    there.flatMap((mailbox) => (mailbox.id === undefined ? [] : [[mailbox.id, mailbox] as const])),
  )
  const byIdHere = new Map(input.here.map((mailbox) => [mailbox.id, mailbox]))
  const hasInbox = there.some(({ path }) => path.toUpperCase() === 'INBOX')

  const find = (pair: Pair): MailboxThere | undefined =>
    (pair.idThere === undefined ? undefined : byIdThere.get(pair.idThere)) ??
    sameUnlessOther(byPath.get(pair.path), pair)
  const missing = pairs.filter((pair) => find(pair) === undefined)
  const { believed, suspicion } = judge(missing.length, pairs.length, hasInbox, input)

  const renameHere: Rename[] = []
  const renameThere: Rename[] = []
  const removeHere: string[] = []
  const removeThere: string[] = []
  const createThere: string[] = []
  const agreed = new Map<string, string>()
  /** They probably stay although they are to be renamed. */
  const stuck = new Set<string>()
  const handledHere = new Set<MailboxId>()
  const delimiter = there[0]?.delimiter
  for (const pair of pairs) {
    const remote = find(pair)
    const local = byIdHere.get(pair.idHere)
    if (local !== undefined) handledHere.add(local.id)
    if (remote !== undefined && local !== undefined) {
      const renamedThere = remote.path !== pair.path
      const target = renamedThere
        ? undefined
        : local.name !== pair.name
          ? pathThere(local.name, delimiter, policy)
          : undefined
      // Nothing can be renamed to a place below itself: then the names differ.
      const isBelow = delimiter !== undefined && target?.startsWith(remote.path + delimiter)
      if (target !== undefined && !byPath.has(target) && isBelow !== true) {
        renameThere.push({ from: remote.path, to: target })
        agreed.set(target, local.name)
        byPath.delete(remote.path)
        if (pair.isStuck === true) stuck.add(remote.path)
      } else if (!renamedThere) agreed.set(remote.path, local.name)
    } else if (remote !== undefined && pair.name !== 'INBOX' && !changedThere.has(remote.path)) {
      removeThere.push(remote.path)
      byPath.delete(remote.path)
    } else if (remote === undefined && local !== undefined) {
      if (!believed) agreed.set(pair.path, local.name)
      else if (local.hasOwn) {
        createThere.push(pair.path)
        agreed.set(pair.path, local.name)
      } else removeHere.push(local.name)
    }
  }
  // New names there, and new places of those that were renamed there.
  const names = new Map(pairNames([...byPath.values()], agreed, policy, input.occupied))
  const occupied = new Set([...input.occupied, ...input.levels, ...input.here.map(({ name }) => name)])
  for (const pair of pairs) {
    const remote = find(pair)
    const local = byIdHere.get(pair.idHere)
    const name = remote === undefined ? undefined : names.get(remote.path)
    if (remote === undefined || local === undefined || name === undefined || name === local.name) continue
    // Where something else has the name here, the two stay one under different names.
    const isBelow = name.startsWith(`${local.name}/`)
    if (occupied.has(name) || isBelow || local.name === 'INBOX') names.set(remote.path, local.name)
    else {
      renameHere.push({ from: local.name, to: name })
      occupied.add(name)
    }
  }
  const renamed = new Set(renameHere.map(({ from }) => from))
  const removed = new Set(removeHere)
  const kept = new Set([
    ...input.here.map(({ name }) => name).filter((name) => !removed.has(name) && !renamed.has(name)),
    ...renameHere.map(({ to }) => to),
  ])
  const createHere = [...names.values()].filter((name) => !kept.has(name))
  const taken = new Set(names.values())
  if (!policy.inboxOnly)
    for (const { id, name } of input.here) {
      if (handledHere.has(id) || taken.has(name)) continue
      const wanted = pathThere(name, delimiter, policy)
      if (wanted === undefined) continue
      const isTaken = byPath.has(wanted) || agreed.has(wanted) || stuck.has(wanted)
      const path = isTaken ? withMark(wanted, name) : wanted
      if (byPath.has(path)) continue
      createThere.push(path)
      agreed.set(path, name)
    }
  const paired = new Map([...agreed, ...names])
  return {
    renameHere: outermost(renameHere, '/'),
    renameThere: outermost(renameThere, delimiter),
    removeHere,
    removeThere,
    createHere: createHere.sort(),
    createThere: createThere.sort(),
    paired: Array.from(paired, ([path, name]) => ({ path, name })),
    ...subscriptions(input, paired, byPath),
    suspicion,
    held: believed ? 0 : missing.length,
  }
}

/** A mailbox of another id has the name now: the one that we knew is gone. */
function sameUnlessOther(found: MailboxThere | undefined, { idThere }: Pair): MailboxThere | undefined {
  return found !== undefined && idThere !== undefined && found.id !== undefined && found.id !== idThere
    ? undefined
    : found
}

function judge(
  missing: number,
  all: number,
  hasInbox: boolean,
  { suspicion, now }: TreeInput,
): { believed: boolean; suspicion: Suspicion | undefined } {
  if (!hasInbox) return { believed: false, suspicion }
  if (missing <= believedCount || missing <= all / 2) return { believed: true, suspicion: undefined }
  const seen = { since: suspicion?.since ?? now, passes: (suspicion?.passes ?? 0) + 1 }
  const confirmed = seen.passes >= confirmPasses && now - seen.since >= confirmSeconds
  return confirmed ? { believed: true, suspicion: undefined } : { believed: false, suspicion: seen }
}

/** What was changed here since the last pass wins; where nothing was agreed yet, both sides get what either has. */
function subscriptions(
  { pairs, subscribedHere }: TreeInput,
  paired: ReadonlyMap<string, string>,
  byPath: ReadonlyMap<string, MailboxThere>,
): Pick<TreePlan, 'subscribeHere' | 'unsubscribeHere' | 'subscribeThere' | 'unsubscribeThere'> {
  const before = new Map(pairs.map(({ name, subscribed }) => [name, subscribed]))
  const plan = { subscribeHere: [], unsubscribeHere: [], subscribeThere: [], unsubscribeThere: [] } as {
    [key in 'subscribeHere' | 'unsubscribeHere' | 'subscribeThere' | 'unsubscribeThere']: string[]
  }
  for (const [path, name] of paired) {
    const here = subscribedHere.has(name)
    const there = byPath.get(path)?.subscribed ?? false
    const agreed = before.get(name)
    if (here === there) continue
    const wanted = agreed === undefined ? true : here !== agreed ? here : there
    if (here !== wanted) plan[wanted ? 'subscribeHere' : 'unsubscribeHere'].push(name)
    else plan[wanted ? 'subscribeThere' : 'unsubscribeThere'].push(path)
  }
  return plan
}

/** The name that a rename gives a mailbox: of its own, or of one above it. Undefined: none. RFC 9051 §6.3.6 */
export function afterRename(name: string, { from, to }: Rename, delimiter: string | undefined): string | undefined {
  const isMoved = name === from || (delimiter !== undefined && name.startsWith(from + delimiter))
  return isMoved ? to + name.slice(from.length) : undefined
}

/** Without those that come about by the rename of a level above: children move along. RFC 9051 §6.3.6 */
function outermost(renames: readonly Rename[], delimiter: string | undefined): Rename[] {
  const kept: Rename[] = []
  for (const rename of renames.toSorted((a, b) => a.from.length - b.from.length)) {
    const implied = kept.some((above) => rename.to === afterRename(rename.from, above, delimiter))
    if (!implied) kept.push(rename)
  }
  return kept
}
