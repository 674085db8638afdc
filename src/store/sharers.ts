/**
 * Who has given rights to whom: an empty file for each pair.
 *
 *     <home>/.shares/<identifier>/<owner>
 *
 * A folder is there as long as there is a file in it. Derived: whether a pair still means anything, the owner's account says. Putting a file that is there and removing one that is not are no failures, so
 * that nobody has to know what others are doing.
 */

import type { UserId } from '../base/ids.ts'
import type { StoreContext } from './context.ts'
import { codeOf, storeError, unlessAbsent } from './fs.ts'
import { accountDirectory, accountOf, escapeLevel } from './names.ts'
import { makeDirectories } from './tree.ts'
import type { Sharers } from './types.ts'

/** Of the home's folder for this. No account's name. */
export const sharesName = '.shares'

/** How often a folder is made anew that others take away at the same time. */
const attempts = 100

export class StoredSharers implements Sharers {
  private readonly context: StoreContext
  private readonly home: string

  constructor(context: StoreContext, home: string) {
    this.context = context
    this.home = home
  }

  add(identifier: string, owner: UserId): Promise<void> {
    return doing('Noting who shares', async () => {
      const { fs } = this.context
      const folder = this.folderOf(identifier)
      const path = `${folder}/${accountDirectory(owner)}`
      if ((await unlessAbsent(fs.status(path))) !== undefined) return
      for (let attempt = 1; ; attempt += 1) {
        try {
          await makeDirectories(fs, '', folder)
          await fs.write(path)
          break
        } catch (error) {
          if (codeOf(error) === 'EEXIST') break
          // Somebody took away the last one, and the folder with it.
          if (codeOf(error) !== 'ENOENT' || attempt === attempts) throw error
        }
      }
      await unlessAbsent(fs.syncDirectory(folder))
    })
  }

  remove(identifier: string, owner: UserId): Promise<void> {
    return doing('Noting who shares', async () => {
      const { fs } = this.context
      const folder = this.folderOf(identifier)
      await unlessAbsent(fs.remove(`${folder}/${accountDirectory(owner)}`))
      try {
        await unlessAbsent(fs.removeDirectory(folder))
      } catch (error) {
        if (!['ENOTEMPTY', 'EEXIST'].includes(codeOf(error) ?? '')) throw error
      }
    })
  }

  of(identifier: string): Promise<readonly UserId[]> {
    return doing('Looking for what is shared', async () => {
      const entries = (await unlessAbsent(this.context.fs.list(this.folderOf(identifier)))) ?? []
      return entries.flatMap(({ name }) => accountOf(name) ?? []).sort()
    })
  }

  private folderOf(identifier: string): string {
    return `${this.home}/${sharesName}/${escapeLevel(identifier)}`
  }
}

async function doing<T>(what: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw storeError(error, what)
  }
}
