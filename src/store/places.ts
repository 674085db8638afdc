/**
 * Which root an account lives in. An account is `<root>/<account>` in exactly one root; what is under way about that is
 *
 *     <root>/.places/<account>/<id>/   the folder of one attempt, which nothing else in the world has the name of:
 *         new                          an account being made, complete, on its way to <root>/<account>
 *         tree                         a copy being made of an account that lives in another root
 *         frozen                       the account itself, out of everybody's reach while the rest of it is copied
 *         left                         the same when that was finished: now `tree` is the account
 *         beat                         touched by a mover for as long as it lives
 *         ended                        the mover gave up; what it had copied waits for the next one
 *     <home>/.places/<account>/claim/<id>   whose turn it is to make or move the account
 *
 * What a maintainer could break:
 * - Every step is one rename out of, or into, the folder of an attempt. Who takes the folder (or what is in it) away has ended the attempt,
 *   wherever it stands: its next step fails. So nobody waits for a process that died, and one that slept can do no harm.
 * - An account is made or frozen only under the claim, by an attempt that still has its folder. So whoever looks under his own claim and does not
 *   find the account knows that there is none.
 * - `frozen` goes back to its place, or becomes `left`, never both; only after `left` does `tree` become the account.
 * - A claim goes after the attempt can do nothing any more, never before.
 */

import { StoreError } from '../base/errors.ts'
import type { UserId } from '../base/ids.ts'
import type { StoreContext } from './context.ts'
import { codeOf, unlessAbsent } from './fs.ts'
import { goneMark } from './leavings.ts'
import { accountDirectory } from './names.ts'
import type { Partitions } from './partitions.ts'
import { makeDirectories } from './tree.ts'
import { uniqueName } from './unique.ts'

/** Of a root's folder for accounts that are being made or moved. */
export const placesName = '.places'
/** Of the home's folder for what the gateway keeps of all users together: hosts, and who polls whom. No account's name. */
export const gatewayName = '.gateway'
/** In an account's folder there: of whose turn it is. */
export const claimName = 'claim'
/** In the folder of an attempt. */
export const attemptNames: ReadonlySet<string> = new Set(['new', 'tree', 'frozen', 'left', 'beat', 'ended'])
/** What an attempt left is kept for so long: whoever begins again can use it. */
const givenUpMs = 86_400_000
const taken: readonly (string | undefined)[] = ['ENOTEMPTY', 'EEXIST']

/** The folder of an attempt in one root, and the names in it. */
export interface Attempt {
  readonly root: string
  readonly id: string
  readonly has: ReadonlySet<string>
}

export class Places {
  readonly partitions: Partitions
  /** A mover that was not heard of for so long is dead. */
  readonly silenceMs: number
  private readonly context: StoreContext

  constructor(context: StoreContext, partitions: Partitions, silenceMs: number) {
    this.context = context
    this.partitions = partitions
    this.silenceMs = silenceMs
  }

  /** The root that an account lives in; undefined when there is none. Throws StoreError unavailable while it is moved or may be out of sight. */
  async find(userId: UserId): Promise<string | undefined> {
    const account = accountDirectory(userId)
    for (;;) {
      const there = await this.look(account)
      if (there !== undefined) return there
      await this.partitions.needAll()
      if (await this.settle(account, await this.attempts(account))) continue
      // It may have arrived between the two looks.
      return await this.look(account)
    }
  }

  /** Makes an account unless there is one; answers its root. `prepare` makes a complete one in an empty directory. */
  async make(userId: UserId, prepare: (directory: string) => Promise<void>): Promise<string> {
    const account = accountDirectory(userId)
    for (;;) {
      const there = await this.find(userId)
      if (there !== undefined) return there
      const root = await this.partitions.choose(userId)
      const id = uniqueName()
      const folder = await this.enter(root, account, id)
      try {
        await this.context.fs.makeDirectory(`${folder}/new`)
        await prepare(`${folder}/new`)
        await this.context.fs.syncDirectory(folder)
        if (await this.claim(account, id)) await this.completeMaking(userId, account, root, id)
        else await this.contend(userId, account)
      } finally {
        await this.putAway(root, `${folder}/new`)
        await this.release(account, id)
        await this.leave(root, account, id)
      }
    }
  }

  /** Names of the accounts that something is under way about in a root. */
  async unsettled(root: string): Promise<readonly string[]> {
    const entries = (await unlessAbsent(this.context.fs.list(`${root}/${placesName}`))) ?? []
    return entries.filter((entry) => entry.isDirectory).map((entry) => entry.name)
  }

  /** All attempts about an account. */
  async attempts(account: string): Promise<readonly Attempt[]> {
    const { fs } = this.context
    const found: Attempt[] = []
    for (const root of this.partitions.roots) {
      const folder = `${root}/${placesName}/${account}`
      for (const { name, isDirectory } of (await unlessAbsent(fs.list(folder))) ?? []) {
        if (!isDirectory || name === claimName) continue
        const entries = (await unlessAbsent(fs.list(`${folder}/${name}`))) ?? []
        found.push({ root, id: name, has: new Set(entries.map((entry) => entry.name)) })
      }
    }
    return found
  }

  pathOf(root: string, account: string, id: string): string {
    return `${root}/${placesName}/${account}/${id}`
  }

  /** Makes the folder of an attempt, durably. */
  async enter(root: string, account: string, id: string): Promise<string> {
    const { fs } = this.context
    const parent = `${root}/${placesName}/${account}`
    for (let attempt = 1; ; attempt += 1) {
      try {
        await makeDirectories(fs, root, parent)
        await fs.makeDirectory(`${parent}/${id}`)
        await fs.syncDirectory(parent)
        return `${parent}/${id}`
      } catch (error) {
        // Somebody who was done with the account removed the empty folder.
        if (codeOf(error) !== 'ENOENT' || attempt === 10) throw error
      }
    }
  }

  /** Removes the folder of an attempt, and the levels above that are empty. Never a directory in it: that may be an account frozen just now. */
  async leave(root: string, account: string, id: string): Promise<void> {
    const { fs } = this.context
    const folder = this.pathOf(root, account, id)
    for (const { name, isDirectory } of (await unlessAbsent(fs.list(folder))) ?? [])
      if (!isDirectory) await unlessAbsent(fs.remove(`${folder}/${name}`))
    for (const path of [folder, `${root}/${placesName}/${account}`, `${root}/${placesName}`])
      await this.removeIfEmpty(path)
  }

  /** Takes the turn, durably. False when somebody else has it. Only an empty claim can be replaced. */
  async claim(account: string, id: string): Promise<boolean> {
    const { fs } = this.context
    const { home } = this.partitions
    const draftId = uniqueName()
    const draft = await this.enter(home, account, draftId)
    await fs.write(`${draft}/${id}`, Buffer.alloc(0))
    await fs.syncDirectory(draft)
    try {
      await fs.rename(draft, `${home}/${placesName}/${account}/${claimName}`)
    } catch (error) {
      // Network file systems may call their own success a failure.
      if ((await this.holder(account)) !== id) {
        await this.leave(home, account, draftId)
        if (!taken.includes(codeOf(error))) throw error
        return false
      }
    }
    await fs.syncDirectory(`${home}/${placesName}/${account}`)
    return true
  }

  /** Gives the turn back, if it is this attempt's. */
  async release(account: string, id: string): Promise<void> {
    const { fs } = this.context
    const claim = `${this.partitions.home}/${placesName}/${account}/${claimName}`
    if ((await unlessAbsent(fs.remove(`${claim}/${id}`).then(() => true))) === undefined) return
    // Not empty: another one took the turn at once.
    await this.removeIfEmpty(claim)
  }

  /** The turn is somebody else's: brings what he began to its end, whichever that is. Throws StoreError in-use while a mover lives. */
  async contend(userId: UserId, account: string): Promise<void> {
    const id = await this.holder(account)
    if (id === undefined) return
    await this.partitions.needAll()
    const his = (await this.attempts(account)).filter((attempt) => attempt.id === id)
    const maker = his.find((attempt) => attempt.has.has('new'))
    if (maker !== undefined) return await this.completeMaking(userId, account, maker.root, id)
    if (await this.settle(account, his)) return
    for (const mover of his) {
      if (!mover.has.has('beat') || mover.has.has('tree')) continue
      if (await this.isAlive(account, mover))
        throw new StoreError('in-use', `${userId} is being moved by somebody else`)
      // Before its freeze, which needs the folder. When that came first after all, the folder can't be removed.
      await this.leave(mover.root, account, id)
      const left = this.context.fs.status(this.pathOf(mover.root, account, id))
      if ((await unlessAbsent(left)) !== undefined) return
    }
    await this.release(account, id)
  }

  /** Touched lately, by the file system's clock. */
  async isAlive(account: string, { root, id, has }: Attempt, limitMs = this.silenceMs): Promise<boolean> {
    if (has.has('ended')) return false
    const { fs } = this.context
    const folder = this.pathOf(root, account, id)
    const beats = await Promise.all([`${folder}/beat`, folder].map((path) => unlessAbsent(fs.status(path))))
    const last = Math.max(...beats.map((status) => status?.changedMs ?? 0))
    const probe = `${root}/${placesName}/${account}/${uniqueName()}`
    const now = await unlessAbsent(fs.append(probe, Buffer.alloc(0)).then(() => fs.status(probe)))
    await unlessAbsent(fs.remove(probe))
    return now !== undefined && now.changedMs - last < limitMs
  }

  /** Puts a frozen account back into its place. False when it is not frozen any more: decided, or put back by somebody else. */
  async rollBack(account: string, { root, id }: Pick<Attempt, 'root' | 'id'>): Promise<boolean> {
    const { fs } = this.context
    const folder = this.pathOf(root, account, id)
    const back = await unlessAbsent(fs.rename(`${folder}/frozen`, `${root}/${account}`).then(() => true))
    await fs.syncDirectory(root)
    await unlessAbsent(fs.syncDirectory(folder))
    if (back === undefined) return false
    await this.leave(root, account, id)
    await this.release(account, id)
    return true
  }

  /**
   * Ends a move that was decided: the copy becomes the account, what it left goes out of reach, to be removed by whoever passes. False when that
   * was done before.
   */
  async finish(account: string, { root, id }: Pick<Attempt, 'root' | 'id'>): Promise<boolean> {
    const { fs } = this.context
    const folder = this.pathOf(root, account, id)
    // Who decided may have died before that was durable.
    await unlessAbsent(fs.syncDirectory(folder))
    let finished = false
    for (const to of this.partitions.roots) {
      const tree = `${this.pathOf(to, account, id)}/tree`
      if ((await unlessAbsent(fs.status(tree))) === undefined) continue
      await this.putInPlace(tree, to, account)
      await this.leave(to, account, id)
      finished = true
    }
    await this.release(account, id)
    await this.putAway(root, `${folder}/left`)
    await this.leave(root, account, id)
    return finished
  }

  /** Takes something out of everybody's reach in one step, to be removed. Answers where it is now; undefined when it was not there. */
  async putAway(root: string, path: string): Promise<string | undefined> {
    const { fs } = this.context
    const gone = `${root}/${goneMark}${uniqueName()}`
    if ((await unlessAbsent(fs.rename(path, gone).then(() => true))) === undefined) return undefined
    await fs.syncDirectory(root)
    return gone
  }

  /** Ends what can be ended about an account, and removes what was given up a day ago. */
  async tidy(account: string): Promise<void> {
    await this.partitions.needAll()
    while (await this.settle(account, await this.attempts(account)));
    for (const attempt of await this.attempts(account)) {
      const { root, id } = attempt
      if (await this.isAlive(account, attempt, givenUpMs)) continue
      for (const name of ['new', 'tree']) await this.putAway(root, `${this.pathOf(root, account, id)}/${name}`)
      await this.release(account, id)
      await this.leave(root, account, id)
    }
  }

  private async look(account: string): Promise<string | undefined> {
    let fault: unknown
    for (const root of this.partitions.roots) {
      try {
        await this.partitions.idOf(root)
      } catch (error) {
        if (!(error instanceof StoreError)) throw error
        fault ??= error
        continue
      }
      if ((await unlessAbsent(this.context.fs.status(`${root}/${account}/log`))) !== undefined) return root
    }
    if (fault !== undefined) throw fault
    return undefined
  }

  private async holder(account: string): Promise<string | undefined> {
    const claim = `${this.partitions.home}/${placesName}/${account}/${claimName}`
    return (await unlessAbsent(this.context.fs.list(claim)))?.[0]?.name
  }

  /** Finishes a move that was decided, undoes one whose mover is dead. True when it did. Throws StoreError unavailable while one lives. */
  private async settle(account: string, attempts: readonly Attempt[]): Promise<boolean> {
    const { log } = this.context
    for (const attempt of attempts)
      if (attempt.has.has('left') && (await this.finish(account, attempt))) {
        log.log('notice', 'finished the move of an account', { account, from: attempt.root })
        return true
      }
    for (const attempt of attempts) {
      if (!attempt.has.has('frozen')) continue
      if (await this.isAlive(account, attempt))
        throw new StoreError('unavailable', 'The account is being moved to another partition; try again in a while')
      if (await this.rollBack(account, attempt))
        log.log('warning', 'undid the move of an account, which was given up', { account, root: attempt.root })
      return true
    }
    return false
  }

  /** Under the claim `id`, whoever does it: makes the account, unless there is one. */
  private async completeMaking(userId: UserId, account: string, root: string, id: string): Promise<void> {
    const made = `${this.pathOf(root, account, id)}/new`
    if ((await this.find(userId)) === undefined) await this.putInPlace(made, root, account)
    else await this.putAway(root, made)
    await this.release(account, id)
  }

  private async removeIfEmpty(path: string): Promise<void> {
    try {
      await this.context.fs.removeDirectory(path)
    } catch (error) {
      if (codeOf(error) !== 'ENOENT' && !taken.includes(codeOf(error))) throw error
    }
  }

  /** Gives an account another name in its root, durably. Throws StoreError already-exists, not-found (it was removed, or is being moved). */
  async rename(root: string, from: string, to: string): Promise<void> {
    const { fs } = this.context
    try {
      await this.putInPlace(`${root}/${from}`, root, to)
    } catch (error) {
      if (!taken.includes(codeOf(error))) throw error
      throw new StoreError('already-exists', 'There is an account of that name', { cause: error })
    }
    if ((await unlessAbsent(fs.status(`${root}/${to}/log`))) === undefined)
      throw new StoreError('not-found', 'The account is not there any more')
  }

  /** Renames a complete account to its place, durably. Nothing when it is not there any more: somebody else did. */
  private async putInPlace(from: string, root: string, account: string): Promise<void> {
    const { fs } = this.context
    const to = `${root}/${account}`
    try {
      await unlessAbsent(fs.rename(from, to))
    } catch (error) {
      if (!taken.includes(codeOf(error)) || (await unlessAbsent(fs.status(`${to}/log`))) !== undefined) throw error
      // What is left of an account that was begun and never became one.
      await this.putAway(root, to)
      await unlessAbsent(fs.rename(from, to))
    }
    await fs.syncDirectory(root)
  }
}
