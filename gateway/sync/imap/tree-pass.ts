/** The tree of a pass: what is made, renamed and subscribed to before any mailbox is looked into, and what is removed after all of them were. */
import { StoreError } from '#src/base/errors.ts'
import type { MailboxId, ModSeq } from '#src/base/ids.ts'
import { putUses } from '#src/store/special-use.ts'
import type { Account } from '#src/store/types.ts'
import { makeAndRename, remove } from './carry-out-tree.ts'
import { hasOwn } from './here.ts'
import { type Listing, statusThere } from './list.ts'
import type { BackendMemory, KnownPair, MailboxMark, TreeMemory } from './memory.ts'
import type { PassMark } from './observe.ts'
import type { PassRequest } from './pass.ts'
import { withRenamesFound } from './renamed.ts'
import { afterTurns, inTurn, type Rename } from './renames.ts'
import { type MailboxHere, type Pair, planTree, type TreePlan } from './tree.ts'

export interface ListedPair extends KnownPair {
  readonly status: PassMark | undefined
}

export interface TreeInStep {
  readonly pairs: readonly ListedPair[]
  /** Names here of mailboxes that are not listed, and not believed to be gone. */
  readonly unlisted: readonly string[]
  /** HIGHESTMODSEQ here of each mailbox, of a moment before any of them was looked into. */
  readonly numbers: ReadonlyMap<MailboxId, ModSeq>
  readonly refused: boolean
  /** Paths of mailboxes that are listed, and were never seen open. */
  readonly leftOut: readonly string[]
  /** Mailboxes that are to be removed, as they were here. */
  readonly leaving: readonly Pair[]
  /** Removes what is to be removed. `unfinished`: not now. */
  finish(unfinished: boolean): Promise<void>
}

/** Throws BackendError and StoreError. What it did is remembered, and not done again. */
export async function bringTreesIntoStep(
  request: PassRequest,
  memory: BackendMemory,
  listing: Listing,
): Promise<TreeInStep> {
  const { account, session, policy, clock, log } = request
  const { mailboxes, namespace } = listing
  const remembered = withRenamesKnown(await memory.tree(), mailboxes)
  // What is listed and tells no status may be none: only of one that is known it is taken for a passing failure.
  const known = new Set(remembered.pairs.map(({ path }) => path))
  const listedThere = mailboxes.filter(
    // INBOX was looked at when the session began.
    ({ path, status }) => status !== undefined || known.has(path) || path.toUpperCase() === 'INBOX',
  )
  const leftOut = policy.inboxOnly
    ? []
    : [
        ...listing.gone,
        ...listing.unreachable,
        ...mailboxes.flatMap((mailbox) => (listedThere.includes(mailbox) ? [] : [mailbox.path])),
      ]
  const { pairs, mailboxes: there } = await withRenamesFound(
    { control: session.control, account, url: request.url, memory },
    { pairs: remembered.pairs, mailboxes: listedThere },
  )
  const before = { ...remembered, pairs }
  const { here, elsewhere } = await listHere(request, before.pairs, there)
  const byPath = new Map(there.map((mailbox) => [mailbox.path, mailbox]))
  const byId = new Map(there.flatMap((mailbox) => (mailbox.id === undefined ? [] : [[mailbox.id, mailbox] as const])))
  const changedThere = new Set<string>()
  for (const pair of before.pairs) {
    const mailbox = (pair.idThere === undefined ? undefined : byId.get(pair.idThere)) ?? byPath.get(pair.path)
    if (!isSeen(await memory.mark(pair.idHere), mailbox?.status)) changedThere.add(mailbox?.path ?? pair.path)
  }
  const whole = planTree({
    there,
    here,
    occupied: elsewhere,
    subscribedHere: new Set(await account.subscriptions()),
    pairs: before.pairs,
    changedThere,
    policy: {
      inboxOnly: policy.inboxOnly,
      pullOnly: policy.pullOnly,
      prefix: policy.prefix,
      namespace,
      isOurs: policy.belonging.isOurs,
    },
    suspicion: before.suspicion,
    now: Math.floor(clock.now() / 1000),
  })
  const plan = policy.pullOnly === true ? { ...whole, ...nothingThere } : whole
  if (plan.held > 0)
    log.log('warning', 'mailboxes are missing at the backend; they are kept until the backend proves reliable', {
      missing: plan.held,
    })
  const sides = { control: session.control, account, log }
  const createThere = new Set(plan.createThere)
  const delimiter = there[0]?.delimiter
  const renameThere = inTurn(plan.renameThere, delimiter)
  const announced = before.pairs.map((pair) => changing(pair, createThere, renameThere, delimiter))
  const remade = new Set(announced.flatMap(({ idHere, remade }) => (remade === true ? [idHere] : [])))
  const made = await makeAndRename(sides, plan, delimiter, () => memory.put(new Map(), { ...before, pairs: announced }))
  const formerPaths = namesInstead(
    [...before.pairs, ...there].map(({ path }) => path),
    { planned: inTurn(whole.renameThere, delimiter), done: made.renamedThere },
    delimiter,
  )
  const formerNames = namesInstead(
    here.map(({ name }) => name),
    { planned: inTurn(plan.renameHere, '/'), done: made.renamedHere },
    '/',
  )
  const listed = new Map(listedThere.map((mailbox) => [mailbox.path, mailbox]))
  const numbers = new Map<MailboxId, ModSeq>()
  const subscribed = new Set(await account.subscriptions())
  const paired: (KnownPair & { readonly isListed: boolean })[] = []
  for (const { path, name, stuck } of withNamesBefore(plan.paired, formerPaths, formerNames)) {
    const id = await idOf(account, name, numbers)
    const isListed = listed.has(path) || made.pathsThere.has(path)
    // What is not listed now, and not believed to be gone, stays paired; and what the backend would not make again.
    if (id === undefined || (!isListed && plan.held === 0 && !remade.has(id))) continue
    const idThere = listed.get(path)?.id
    // Where nobody told the backend, both sides stay as they were: else the backend's would come back.
    const agreedBefore =
      policy.pullOnly === true ? before.pairs.find(({ idHere }) => idHere === id)?.subscribed : undefined
    const isRemade = remade.has(id) ? { remade: true as const } : {}
    paired.push({
      path,
      idThere,
      name,
      idHere: id,
      subscribed: agreedBefore ?? subscribed.has(name),
      isListed,
      ...isRemade,
      ...stuck,
    })
  }
  const agreed = paired.map(({ isListed, remade, ...pair }) => pair)
  const staying = new Set(agreed.map(({ idHere }) => idHere))
  const removals = {
    removeHere: plan.removeHere.map((name) => formerNames.get(name) ?? name),
    removeThere: plan.removeThere.map((path) => formerPaths.get(path) ?? path),
  }
  // What is still to be removed stays known until it is.
  const leaving = whole.leaving
    .filter(({ idHere }) => !staying.has(idHere))
    .map((pair) => ({ ...pair, path: formerPaths.get(pair.path) ?? pair.path }))
  const suspicion = plan.suspicion === undefined ? {} : { suspicion: plan.suspicion }
  const usesHere = paired.flatMap(({ path, name }) => {
    const use = listed.get(path)?.use
    return use === undefined ? [] : [[name, use] as const]
  })
  await putUses(account, request.url, Object.fromEntries(usesHere.sort()))
  await memory.put(new Map(), { pairs: [...paired.map(({ isListed, ...pair }) => pair), ...leaving], ...suspicion })
  return {
    pairs: paired
      .filter(({ isListed }) => isListed)
      .map(({ isListed, ...pair }) => ({ ...pair, status: listed.get(pair.path)?.status }))
      .sort((a, b) => Number(b.name === 'INBOX') - Number(a.name === 'INBOX')),
    unlisted: paired.flatMap(({ isListed, name }) => (isListed ? [] : [name])),
    numbers,
    refused: made.refused,
    leftOut,
    leaving,
    async finish(unfinished) {
      if (leaving.length === 0 || unfinished) {
        if (remade.size > 0) await memory.put(new Map(), { pairs: [...agreed, ...leaving], ...suspicion })
        return
      }
      const marks = new Map<string, MailboxMark | undefined>()
      for (const { path, idHere } of leaving) marks.set(path, await memory.mark(idHere))
      await remove(sides, removals, {
        there: async (path) => isSeen(marks.get(path), await statusThere(session.control, path)),
        here: async (name) => !(await hasOwn(request.account, request.url, name)),
      })
      const idsHere = new Set(here.map(({ id }) => id))
      // What was removed here, and stays there, would be made again if it were forgotten.
      const kept = policy.pullOnly === true ? leaving.filter(({ idHere }) => !idsHere.has(idHere)) : []
      const forgotten = leaving.filter((pair) => !kept.includes(pair))
      await memory.put(new Map(forgotten.map(({ idHere }) => [idHere, undefined])), {
        pairs: [...agreed, ...kept],
        ...suspicion,
      })
    },
  }
}

/** Of the plan of a pass that only pulls. MIG-07 */
const nothingThere: Pick<
  TreePlan,
  'renameThere' | 'removeThere' | 'createThere' | 'subscribeThere' | 'unsubscribeThere'
> = { renameThere: [], removeThere: [], createThere: [], subscribeThere: [], unsubscribeThere: [] }

/** There is no message there that was not seen here. */
const isSeen = (mark: MailboxMark | undefined, status: PassMark | undefined): boolean =>
  mark?.there !== undefined &&
  status !== undefined &&
  mark.there.uidValidity === status.uidValidity &&
  status.uidNext <= mark.seenBelow &&
  (mark.pending ?? []).length === 0

/** A RENAME there that was begun, and may not have been carried out. */
function withRenamesKnown(memory: TreeMemory, there: Listing['mailboxes']): TreeMemory {
  const paths = new Set(there.map(({ path }) => path))
  return {
    ...memory,
    pairs: memory.pairs.map(({ formerPath, ...pair }) =>
      formerPath !== undefined && !paths.has(pair.path) && paths.has(formerPath) ? { ...pair, path: formerPath } : pair,
    ),
  }
}

/** As it is to be known while the plan is carried out. */
function changing(
  pair: KnownPair,
  createThere: ReadonlySet<string>,
  renameThere: readonly Rename[],
  delimiter: string | undefined,
): KnownPair {
  if (createThere.has(pair.path)) return { ...pair, remade: true }
  const path = afterTurns(pair.path, renameThere, delimiter)
  return path === pair.path ? pair : { ...pair, path, formerPath: pair.path }
}

/** What is called otherwise than was planned, by the planned name: a rename was refused. Each by the name that it finds. */
function namesInstead(
  names: readonly string[],
  { planned, done }: { readonly planned: readonly Rename[]; readonly done: readonly Rename[] },
  delimiter: string | undefined,
): ReadonlyMap<string, string> {
  if (planned.length === done.length) return new Map()
  const instead = new Map<string, string>()
  for (const name of names) {
    const [wanted, actual] = [afterTurns(name, planned, delimiter), afterTurns(name, done, delimiter)]
    if (wanted !== actual) instead.set(wanted, actual)
  }
  return instead
}

interface Named {
  readonly path: string
  readonly name: string
  readonly stuck: Pick<Pair, 'isStuck'>
}

/** What was to be renamed, and was not, stays what it is; what was to have that name then waits. */
function withNamesBefore(
  paired: TreePlan['paired'],
  formerPaths: ReadonlyMap<string, string>,
  formerNames: ReadonlyMap<string, string>,
): readonly Named[] {
  const [paths, names] = [new Set(formerPaths.values()), new Set(formerNames.values())]
  return paired.flatMap(({ path, name }) => {
    const [formerPath, formerName] = [formerPaths.get(path), formerNames.get(name)]
    const isTaken = (formerPath === undefined && paths.has(path)) || (formerName === undefined && names.has(name))
    const stuck = formerPath === undefined ? {} : { isStuck: true as const }
    return isTaken ? [] : [{ path: formerPath ?? path, name: formerName ?? name, stuck }]
  })
}

async function listHere(
  request: PassRequest,
  pairs: readonly Pair[],
  there: Listing['mailboxes'],
): Promise<{
  readonly here: readonly MailboxHere[]
  readonly elsewhere: ReadonlySet<string>
}> {
  const { account, policy } = request
  const paths = new Set(there.map(({ path }) => path))
  const missing = new Set(pairs.flatMap(({ path, idHere }) => (paths.has(path) ? [] : [idHere])))
  const paired = new Set(pairs.map(({ idHere }) => idHere))
  const here: MailboxHere[] = []
  const elsewhere = new Set<string>()
  for (const { name, selectable } of await account.list()) {
    const id = selectable ? await idOf(account, name) : undefined
    if (id === undefined) continue
    const { isOurs, elsewhere: theirs } = policy.belonging
    // What is paired stays so, whatever backends are added.
    if (paired.has(id) || (isOurs(name) && !theirs.has(id)))
      here.push({ name, id, hasOwn: missing.has(id) && (await hasOwn(request.account, request.url, name)) })
    else elsewhere.add(name)
  }
  return { here, elsewhere }
}

/** Undefined when there is no such mailbox (any more). Notes its HIGHESTMODSEQ. */
async function idOf(account: Account, name: string, numbers?: Map<MailboxId, ModSeq>): Promise<MailboxId | undefined> {
  try {
    const { mailboxId, highestModSeq } = await account.status(name)
    numbers?.set(mailboxId, highestModSeq)
    return mailboxId
  } catch (error) {
    if (error instanceof StoreError && error.kind === 'not-found') return undefined
    throw error
  }
}
