/**
 * Making the directory of a mailbox. `log/` has a lower inode number than `msg/`: cp goes by these numbers, and what copies the log first brings no
 * entry of a message whose file came too late for it. docs/decisions/0131-what-a-copy-under-load-holds.md
 */

import { beginLog, createLog } from './epochs.ts'
import { codeOf, type StoreFs } from './fs.ts'
import type { MailboxState } from './mailbox-state.ts'
import { removeTree } from './remove-tree.ts'
import { folders, makeDirectories, makeIfAbsent, parentOf } from './tree.ts'
import { uniqueName } from './unique.ts'

const taken: readonly (string | undefined)[] = ['ENOTEMPTY', 'EEXIST']

/**
 * Makes an empty mailbox of this state, durably, and the levels above it. `account`: the account's directory. Throws EEXIST or ENOTEMPTY when
 * there is one, ENOENT when a level above was removed meanwhile.
 */
export async function makeMailbox(fs: StoreFs, account: string, directory: string, state: MailboxState): Promise<void> {
  const parent = parentOf(directory)
  const draft = `${account}/tmp/${uniqueName()}`
  await makeDirectories(fs, account, parent)
  try {
    await fs.makeDirectory(draft)
    for (const folder of ['tmp', 'cache']) await fs.makeDirectory(`${draft}/${folder}`)
    await makeLogAndMessages(fs, draft)
    await beginLog(fs, `${draft}/log`, state, 1)
    await fs.syncDirectory(draft)
    await fs.rename(draft, directory)
  } catch (error) {
    await removeTree(fs, draft).catch(() => {})
    if (!taken.includes(codeOf(error))) throw error
    return await makeInLevel(fs, directory, state)
  }
  await fs.syncDirectory(parent)
}

/** Makes both in a directory that nobody else makes anything in. A rename keeps the number. */
export async function makeLogAndMessages(fs: StoreFs, directory: string): Promise<void> {
  const made: { readonly path: string; readonly inode: number }[] = []
  for (const path of [`${directory}/${uniqueName()}`, `${directory}/${uniqueName()}`]) {
    await fs.makeDirectory(path)
    made.push({ path, inode: (await fs.status(path)).inode })
  }
  made.sort((a, b) => a.inode - b.inode)
  for (const [index, name] of ['log', 'msg'].entries()) await fs.rename(made[index]!.path, `${directory}/${name}`)
}

/** In a directory that has something in it: child mailboxes, or what a removal left. It keeps its `msg/`, where others may be at work. */
async function makeInLevel(fs: StoreFs, directory: string, state: MailboxState): Promise<void> {
  for (const folder of folders) await makeIfAbsent(fs, `${directory}/${folder}`)
  await createLog(fs, directory, state, 1)
}
