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
import { possibleRenames, type Rename } from './renames.ts'

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
  readonly subscribedHere: ReadonlySet<string>
  readonly pairs: readonly Pair[]
  /** Paths there that changed since the last pass: something may be in them that was never seen here. */
  readonly changedThere: ReadonlySet<string>
  readonly policy: NamePolicy & {
    readonly inboxOnly: boolean
    /** Nothing of the plan is done there. */
    readonly pullOnly?: boolean | undefined
  }
  readonly suspicion: Suspicion | undefined
  /** Seconds since 1970. */
  readonly now: number
}

export interface TreePlan {
  /** In this order; what moves along with what is above it is left out. */
  readonly renameHere: readonly Rename[]
  readonly renameThere: readonly Rename[]
  /** By the names that they have after the renames; last of all, when what is in the others was looked at. */
  readonly removeHere: readonly string[]
  readonly removeThere: readonly string[]
  /** Those that are to be removed on either side, by their paths after the renames. */
  readonly leaving: readonly Pair[]
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

  const wishesThere: Rename[] = []
  const removedHere: Pair[] = []
  const removedThere: { readonly pair: Pair; readonly name: string }[] = []
  const remade: string[] = []
  /** By their paths now; what was renamed on both sides keeps the backend's name. */
  const renamedThere = new Set<string>()
  /** What are one on both sides, by path and name before anything is renamed. */
  const agreed = new Map<string, string>()
  /** Of them those that are not listed. */
  const unlisted = new Map<string, string>()
  /** They probably stay although they are to be renamed. */
  const stuck = new Set<string>()
  const handledHere = new Set<MailboxId>()
  const delimiter = there[0]?.delimiter
  for (const pair of pairs) {
    const remote = find(pair)
    const local = byIdHere.get(pair.idHere)
    if (local !== undefined) handledHere.add(local.id)
    if (remote !== undefined && local !== undefined) {
      agreed.set(remote.path, local.name)
      if (remote.path !== pair.path) renamedThere.add(remote.path)
      const isRenamedHere = remote.path === pair.path && local.name !== pair.name
      const target = isRenamedHere ? pathThere(local.name, delimiter, policy) : undefined
      if (target === undefined) continue
      wishesThere.push({ from: remote.path, to: target })
      if (pair.isStuck === true) stuck.add(remote.path)
    } else if (remote !== undefined) {
      if (pair.name !== 'INBOX' && !changedThere.has(remote.path)) removedHere.push({ ...pair, path: remote.path })
    } else if (local !== undefined) {
      if (believed && !local.hasOwn) removedThere.push({ pair, name: local.name })
      else unlisted.set(pair.path, local.name)
      if (believed && local.hasOwn) remade.push(pair.path)
    }
  }

  const inThere = possibleRenames(wishesThere, [...byPath.keys(), ...unlisted.keys()], delimiter)
  const pathAfter = (path: string) => inThere.after.get(path) ?? path
  // What stands for another one here by now is not removed with the one that it stood for before.
  const leavingThere = removedHere.filter(({ path }) => !agreed.has(path))
  const removeThere = leavingThere.map(({ path }) => pathAfter(path))
  const goneThere = new Set(removeThere)
  const staying = there
    .map((mailbox) => ({ ...mailbox, path: pathAfter(mailbox.path) }))
    .filter(({ path }) => !goneThere.has(path))
  const paths = new Set(staying.map(({ path }) => path))

  // Where one that was renamed there would like to be here.
  const inPlace = [...agreed].filter(([path]) => !renamedThere.has(path))
  const kept = new Map(inPlace.map(([path, name]) => [pathAfter(path), name]))
  const wanted = pairNames(staying, kept, policy, input.occupied)
  const wishesHere = [...agreed].flatMap(([path, from]) => {
    const to = wanted.get(pathAfter(path))
    return to === undefined || to === from || from === 'INBOX' ? [] : [{ from, to }]
  })
  const inHere = possibleRenames(wishesHere, [...input.here.map(({ name }) => name), ...input.occupied], '/')
  const nameAfter = (name: string) => inHere.after.get(name) ?? name

  // Where something else has the name, the two stay one under different names; what is new makes way.
  const known = new Map<string, string>()
  const occupied = new Set([...input.occupied].map(nameAfter))
  for (const [path, name] of agreed) known.set(pathAfter(path), nameAfter(name))
  for (const [path, name] of unlisted) {
    known.set(path, nameAfter(name))
    if (!paths.has(path)) occupied.add(nameAfter(name))
  }
  const names = pairNames(staying, known, policy, occupied)
  const taken = new Set(names.values())
  const namesHere = new Set(input.here.map(({ name }) => nameAfter(name)))
  // One that was made there in the place of another takes its place here.
  const leaving = removedThere.filter(({ name }) => !taken.has(nameAfter(name)))
  const paired = new Map([...known, ...names])
  const createThere = [...remade]
  if (!policy.inboxOnly)
    for (const { id, name: before } of input.here) {
      const name = nameAfter(before)
      if (handledHere.has(id) || taken.has(name)) continue
      const wanted = pathThere(name, delimiter, policy)
      if (wanted === undefined) continue
      // It waits until the one in its place there is removed; one that stays is the same from now on.
      if (goneThere.has(wanted) && policy.pullOnly !== true) continue
      const path = paired.has(wanted) || stuck.has(wanted) ? withMark(wanted, name) : wanted
      if (paired.has(path)) continue
      createThere.push(path)
      paired.set(path, name)
    }
  return {
    renameHere: inHere.renames,
    renameThere: inThere.renames,
    removeHere: leaving.map(({ name }) => nameAfter(name)),
    removeThere,
    leaving: [
      ...leavingThere.map((pair) => ({ ...pair, path: pathAfter(pair.path) })),
      ...leaving.map(({ pair }) => pair),
    ],
    createHere: [...taken].filter((name) => !namesHere.has(name)).sort(),
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
