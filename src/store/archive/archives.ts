/** The directories of archives, and the accounts in them. */

import { StoreError } from '../../base/errors.ts'
import type { UserId } from '../../base/ids.ts'
import type { StoreContext } from '../context.ts'
import { type StoreFs, unlessAbsent } from '../fs.ts'
import { accountDirectory, accountOf } from '../names.ts'
import { piecesOf } from '../tree.ts'
import type { Account } from '../types.ts'
import { archiveFs } from './archive-fs.ts'
import { ArchivedAccount } from './archived-account.ts'
import { MailboxLogs } from './mailbox-logs.ts'

export class Archives {
  readonly roots: readonly string[]
  private readonly context: StoreContext
  private readonly logs = new MailboxLogs()

  constructor(context: StoreContext, roots: readonly string[]) {
    this.context = { ...context, fs: archiveFs(context.fs) }
    this.roots = roots
  }

  /** The first archive's that has it. Throws StoreError unavailable when none has and one of them is not mounted. */
  async find(userId: UserId): Promise<Account | undefined> {
    const { fs } = this.context
    const directory = accountDirectory(userId)
    for (const root of this.roots)
      if ((await unlessAbsent(fs.status(`${root}/${directory}/log`))) !== undefined)
        return new ArchivedAccount(this.context, root, userId, this.logs)
    for (const root of this.roots) await needMounted(fs, root)
    return undefined
  }

  async *userIds(): AsyncIterable<UserId> {
    for (const root of this.roots)
      for await (const entries of piecesOf(this.context.fs, root))
        for (const { name, isDirectory } of entries) {
          const userId = isDirectory ? accountOf(name) : undefined
          if (userId !== undefined) yield userId
        }
  }
}

/** A mount point without its medium is empty. An account that nobody sees now must not be made anew elsewhere. */
async function needMounted(fs: StoreFs, root: string): Promise<void> {
  for await (const entries of piecesOf(fs, root)) if (entries.length > 0) return
  throw new StoreError(
    'unavailable',
    `the archive ${root} is not there or empty; mount it, or take it out of \`archives\``,
  )
}
