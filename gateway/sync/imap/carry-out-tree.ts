/** Carries a tree's plan out: what is made and renamed before any mailbox is looked into, and what is removed after all of them were. */
import { StoreError } from '#src/base/errors.ts'
import type { Log } from '#src/base/log.ts'
import type { Account } from '#src/store/types.ts'
import { BackendError } from '../../backend/errors.ts'
import type { ImapFlow } from '../../backend/imap/control.ts'
import { printable } from '../../backend/reply-classifier.ts'
import { afterTurns, type Rename } from './renames.ts'
import type { TreePlan } from './tree.ts'

export interface BothSides {
  readonly control: ImapFlow
  readonly account: Account
  readonly log: Log
}

/** Names and paths that are there now although they were not listed. */
export interface Made {
  readonly pathsThere: ReadonlySet<string>
  /** Something was refused, and has to be tried again. */
  readonly refused: boolean
  /** One after the other, each by the name that it found; without those that were refused. */
  readonly renamedHere: readonly Rename[]
  readonly renamedThere: readonly Rename[]
}

export async function makeAndRename(
  { control, account, log }: BothSides,
  plan: TreePlan,
  delimiter: string | undefined,
  /** Durable before the backend is asked: a rename that was carried out and not remembered looks like a deletion. */
  announce: () => Promise<void>,
): Promise<Made> {
  const pathsThere = new Set<string>()
  let refused = false
  const attempt = async (what: string, name: string, work: () => Promise<unknown>): Promise<boolean> => {
    try {
      await work()
      return true
    } catch (error) {
      const kind = error instanceof StoreError ? error.kind : undefined
      if (kind === 'not-found' || (kind === 'already-exists' && what !== 'renamed here')) return true
      if (kind !== undefined && kind !== 'already-exists' && kind !== 'invalid' && kind !== 'limit') throw error
      if (!control.usable) throw new BackendError('closed', 'the backend ended the session', { cause: error })
      refused = true
      log.log('warning', `a mailbox could not be ${what}`, { mailbox: name, reason: reasonOf(error) })
      return false
    }
  }
  const renamedHere: Rename[] = []
  const renamedThere: Rename[] = []
  for (const { from: before, to } of plan.renameHere) {
    const from = afterTurns(before, renamedHere, '/')
    if (await attempt('renamed here', from, () => account.rename(from, to))) renamedHere.push({ from, to })
  }
  for (const name of plan.createHere) await attempt('made here', name, () => account.create(name))
  if (plan.renameThere.length + plan.createThere.length > 0) await announce()
  for (const { from: before, to } of plan.renameThere) {
    const from = afterTurns(before, renamedThere, delimiter)
    if (await attempt('renamed at the backend', from, () => control.mailboxRename(from, to))) {
      renamedThere.push({ from, to })
      pathsThere.add(to)
      if (delimiter !== undefined)
        for (const { path } of plan.paired) if (path.startsWith(to + delimiter)) pathsThere.add(path)
    }
  }
  for (const path of plan.createThere)
    if (await attempt('made at the backend', path, () => create(control, path))) pathsThere.add(path)
  for (const name of plan.subscribeHere) await attempt('subscribed here', name, () => account.subscribe(name))
  for (const name of plan.unsubscribeHere) await attempt('unsubscribed here', name, () => account.unsubscribe(name))
  for (const path of plan.subscribeThere)
    await attempt('subscribed at the backend', path, () => done(control.mailboxSubscribe(path)))
  for (const path of plan.unsubscribeThere)
    await attempt('unsubscribed at the backend', path, () => done(control.mailboxUnsubscribe(path)))
  return { pathsThere, refused, renamedHere, renamedThere }
}

/** Levels below first: what has children stays as a level. Answers how many are gone. */
export async function remove(
  { control, account, log }: BothSides,
  { removeHere, removeThere }: Pick<TreePlan, 'removeHere' | 'removeThere'>,
  /** Nothing is in it that the other side has not seen. */
  isStill: { readonly there: (path: string) => Promise<boolean>; readonly here: (name: string) => Promise<boolean> },
): Promise<void> {
  for (const path of deepestFirst(removeThere)) {
    if (!(await isStill.there(path))) continue
    await control.mailboxDelete(path).catch((error: unknown) => {
      if (!control.usable) throw new BackendError('closed', 'the backend ended the session', { cause: error })
      log.log('warning', 'a mailbox could not be removed at the backend', { mailbox: path, reason: reasonOf(error) })
    })
  }
  for (const name of deepestFirst(removeHere)) {
    if (!(await isStill.here(name))) continue
    await account.remove(name).catch((error: unknown) => {
      if (!(error instanceof StoreError) || (error.kind !== 'not-found' && error.kind !== 'invalid')) throw error
    })
    await account.unsubscribe(name)
  }
}

/** imapflow subscribes to what it makes; here the plan says what is subscribed. */
async function create(control: ImapFlow, path: string): Promise<void> {
  await control.mailboxCreate(path)
  await control.mailboxUnsubscribe(path)
}

const deepestFirst = (names: readonly string[]): readonly string[] => names.toSorted((a, b) => b.length - a.length)

async function done(work: Promise<boolean>): Promise<void> {
  if (!(await work)) throw new BackendError('temporary', 'the backend refused')
}

function reasonOf(error: unknown): string {
  const { responseText } = error as { responseText?: string }
  return printable(responseText ?? (error instanceof Error ? error.message : String(error)))
}
