/** Checks the directories of a mailbox or account other than `msg/`: what lies in them, whose it is, and what was left behind. */

import { type EpochFolders, isLogFile } from '../epochs.ts'
import { codeOf, type FileStatus, unlessAbsent } from '../fs.ts'
import { removeTree } from '../remove-tree.ts'
import type { Replica } from '../replica.ts'
import { quarantine } from './quarantine.ts'
import type { Place, Run } from './run.ts'
import { checkStray } from './stray.ts'

/** Names of a directory and what each is, without those that go meanwhile. None for a directory that may not be read. */
export async function* statuses(run: Run, directory: string): AsyncIterable<[name: string, status: FileStatus]> {
  for (const { name } of await readable(run, directory)) {
    const status = await unlessAbsent(run.fs.status(`${directory}/${name}`))
    if (status !== undefined) yield [name, status]
  }
}

async function readable(run: Run, directory: string) {
  try {
    return await run.fs.list(directory)
  } catch (error) {
    // Gone; or no directory, or not open to us, which is told where its own status is looked at.
    if (['ENOENT', 'ENOTDIR', 'EACCES'].includes(codeOf(error) ?? '')) return []
    throw error
  }
}

/** Looks at a directory that belongs there. False when it isn't one, and could not be made one. */
export async function checkDirectory(run: Run, place: Place, path: string): Promise<boolean> {
  const { userId, mailbox, top } = place
  const status = await unlessAbsent(run.fs.status(path))
  if (status === undefined) return false
  if (status.kind === 'directory') {
    await run.checkAccess(path, status, place)
    return true
  }
  return await run.found({ kind: 'not-a-directory', path, userId, mailbox, detail: `a ${status.kind}` }, async () => {
    await quarantine(run.fs, top, path)
    await run.fs.makeDirectory(path)
  })
}

/** `log/`: epochs, in them entries, and epochs that are being made. */
export async function checkLogFolder(run: Run, place: Place, folders: EpochFolders<Replica<unknown>>): Promise<void> {
  const log = `${folders.directory}/log`
  const found = statuses(run, log)
  for await (const [name, status] of found) {
    const path = `${log}/${name}`
    const epoch = status.isDirectory ? (await folders.list()).find((one) => folders.pathOf(one) === path) : undefined
    if (epoch === undefined) {
      // Named before it was looked for: an epoch that was removed meanwhile.
      if (!status.isDirectory || (await unlessAbsent(run.fs.status(path))) !== undefined)
        await checkStray(run, place, path, status)
      continue
    }
    await run.checkAccess(path, status, place)
    for await (const [entry, entryStatus] of statuses(run, path))
      await checkLogFile(run, place, path, entry, entryStatus)
  }
}

async function checkLogFile(
  run: Run,
  place: Place,
  epochPath: string,
  name: string,
  status: FileStatus,
): Promise<void> {
  const path = `${epochPath}/${name}`
  if (isLogFile(name)) {
    // What is no file is told of when the log is read.
    if (status.kind === 'file') await run.checkAccess(path, status, place)
  } else if (status.isDirectory) await checkAge(run, place, path, status)
  else await checkStray(run, place, path, status)
}

/** `tmp/`: what is being made, and marks. */
export async function checkTmp(run: Run, place: Place, tmp: string): Promise<void> {
  for await (const [name, status] of statuses(run, tmp)) {
    const path = `${tmp}/${name}`
    if (status.kind !== 'file' && status.kind !== 'directory') await checkStray(run, place, path, status)
    else if (name !== 'swept') await checkAge(run, place, path, status)
  }
}

/** Something that is made, used and removed within moments, unless its maker dies. */
export async function checkAge(run: Run, place: Place, path: string, status: FileStatus): Promise<void> {
  if (!run.isOld(status)) return
  const { userId, mailbox } = place
  await run.found({ kind: 'left-over', path, userId, mailbox }, async () => {
    if (status.isDirectory) await removeTree(run.fs, path)
    else await unlessAbsent(run.fs.remove(path))
  })
}
