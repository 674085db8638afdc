/**
 * What nobody needs any more, removed by whoever passes. Message files go a while after they are given up, so that sessions that don't know
 * of it can still read; left-overs of crashes go by age, looked for at most once a day in each mailbox.
 */

import type { StoreContext } from './context.ts'
import { type DirectoryEntry, type StoreFs, unlessAbsent } from './fs.ts'
import type { NameFilter } from './name-filter.ts'
import { removeTree } from './remove-tree.ts'
import { uniqueName } from './unique.ts'

/** Before the name of an account's directory that is being removed. No account's name begins like this. */
export const goneMark = '.gone-'
/** How long the file of a message that is gone for good stays, for sessions that don't know of it yet. */
export const graceMs = 60_000
const dayMs = 86_400_000

export class Leavings {
  private readonly context: StoreContext

  constructor(context: StoreContext) {
    this.context = context
  }

  /** Removes something after the grace period. When the process ends before, a sweep does. */
  later(remove: () => Promise<void>): void {
    void this.context.clock
      .sleep(graceMs, this.context.closing)
      .then(remove)
      .catch(() => {})
  }

  /**
   * `live` answers the names of all message files that the log has, as of after it was asked; none for what holds no messages. True when the
   * sweep was due.
   */
  async sweepWhenDue(directory: string, live?: () => Promise<NameFilter>): Promise<boolean> {
    const { fs, log, clock } = this.context
    try {
      const now = await markSweep(fs, directory, clock.now())
      if (now === undefined) return false
      await this.sweepTmp(`${directory}/tmp`, now)
      if (live === undefined) return true
      const before = await live()
      const unknown: string[] = []
      for await (const entries of fs.listInPieces(`${directory}/msg`))
        for (const { name } of entries) if (!before.mayHave(name)) unknown.push(name)
      if (unknown.length === 0) return true
      // The names first, then the log: what was committed in between is not unknown.
      const known = await live()
      for (const file of unknown) {
        const path = `${directory}/msg/${file}`
        if (!known.mayHave(file) && (await isOld(fs, path, now))) await fs.remove(path)
      }
    } catch (error) {
      log.log('info', 'left-overs could not be looked for', { directory, error: String(error) })
    }
    return true
  }

  /** Accounts that somebody removed and didn't come to the end. */
  async removeGone(root: string, entries: readonly DirectoryEntry[]): Promise<void> {
    const { fs, log } = this.context
    try {
      for (const { name } of entries) if (name.startsWith(goneMark)) await removeTree(fs, `${root}/${name}`)
    } catch (error) {
      log.log('info', 'a removed account could not be cleared away', { root, error: String(error) })
    }
  }

  private async sweepTmp(tmp: string, now: number): Promise<void> {
    const { fs } = this.context
    for (const entry of await fs.list(tmp)) {
      const path = `${tmp}/${entry.name}`
      if (entry.name === 'swept' || !(await isOld(fs, path, now))) continue
      if (entry.isDirectory) await removeTree(fs, path)
      else await fs.remove(path)
    }
  }
}

/** Time by the file system's clock, which is the one that files' ages are told by; undefined when a sweep was made lately. */
async function markSweep(fs: StoreFs, directory: string, ownTime: number): Promise<number | undefined> {
  const mark = `${directory}/tmp/swept`
  const last = await unlessAbsent(fs.status(mark))
  // This machine's clock saves asking for the file system's time at every open. Where it is late, so is the sweep.
  if (last !== undefined && ownTime >= last.changedMs && ownTime - last.changedMs < dayMs / 2) return undefined
  if (last === undefined) {
    // A new mailbox has nothing to sweep; its first day begins.
    await fs.append(mark, Buffer.alloc(0))
    return undefined
  }
  const probe = `${directory}/tmp/${uniqueName()}`
  const changedMs = await probed(fs, probe)
  if (changedMs - last.changedMs < dayMs) {
    await fs.remove(probe)
    return undefined
  }
  await fs.rename(probe, mark)
  return changedMs
}

/** Milliseconds since 1970 by the clock that files' ages are told by. `directory` has a folder `tmp`. */
export async function fileSystemTime(fs: StoreFs, directory: string): Promise<number> {
  const probe = `${directory}/tmp/${uniqueName()}`
  const now = await probed(fs, probe)
  await fs.remove(probe)
  return now
}

async function probed(fs: StoreFs, path: string): Promise<number> {
  await fs.append(path, Buffer.alloc(0))
  return (await fs.status(path)).changedMs
}

async function isOld(fs: StoreFs, path: string, now: number): Promise<boolean> {
  const status = await unlessAbsent(fs.status(path))
  return status !== undefined && now - status.changedMs > dayMs
}
