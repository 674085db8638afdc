/** Checks what waits in `.removed/` to be brought back: its log, what is written of it, and its messages. */

import { StoreError } from '../../base/errors.ts'
import { unlessAbsent } from '../fs.ts'
import { type About, parseAbout, removedName, writeAbout } from '../removed-mailboxes.ts'
import { folders } from '../tree.ts'
import type { MessageRecord } from '../types.ts'
import { checkDirectory, checkLogFolder, checkTmp, statuses } from './folders-check.ts'
import { MailboxCheck } from './mailbox-check.ts'
import { checkKnown } from './messages-check.ts'
import type { Place, Run } from './run.ts'
import { checkStray } from './stray.ts'

const directories: ReadonlySet<string> = new Set(['log', ...folders])
const files: ReadonlySet<string> = new Set(['about', 'since'])
/** Of one whose name is lost. */
const standInName = 'Removed'

/** `account`: its directory. */
export async function checkRemoved(run: Run, place: Place, account: string): Promise<void> {
  const folder = `${account}/${removedName}`
  for await (const [id, status] of statuses(run, folder)) {
    const at = `${folder}/${id}`
    if (!status.isDirectory || !/^[a-z0-9]+$/.test(id)) await checkStray(run, place, at, status)
    else await checkOne(run, { ...place, mailbox: undefined }, at)
  }
}

async function checkOne(run: Run, place: Place, at: string): Promise<void> {
  const status = await unlessAbsent(run.fs.status(at))
  if (status === undefined) return
  await run.checkAccess(at, status, place)
  const own = new Set<string>()
  for await (const [name, found] of statuses(run, at)) {
    const path = `${at}/${name}`
    own.add(name)
    if (directories.has(name)) await checkDirectory(run, place, path)
    else if (files.has(name) && found.kind === 'file') await run.checkAccess(path, found, place)
    else await checkStray(run, place, path, found)
  }
  if (own.has('tmp')) await checkTmp(run, place, `${at}/tmp`)
  // Nothing was taken away yet, or all of it was brought back; what is left goes by age, with the others.
  if (!own.has('log')) return
  const isComplete = await checkAbout(run, place, at)
  await checkMailbox(run, place, at, isComplete)
}

/** True when all its message files are here. */
async function checkAbout(run: Run, place: Place, at: string): Promise<boolean> {
  const path = `${at}/about`
  const about = await aboutAt(run, at)
  if (about !== undefined) return about.complete
  // Restored or purged meanwhile.
  if ((await unlessAbsent(run.fs.status(`${at}/log`))) === undefined) return false
  const { userId } = place
  await run.found({ kind: 'removed-about', path, userId }, () =>
    writeAbout(run.fs, at, { names: [standInName], complete: false }),
  )
  return false
}

async function aboutAt(run: Run, at: string): Promise<About | undefined> {
  const octets = await unlessAbsent(run.fs.read(`${at}/about`))
  return octets === undefined ? undefined : parseAbout(octets)
}

async function checkMailbox(run: Run, place: Place, at: string, isComplete: boolean): Promise<void> {
  const check = new RemovedCheck(run, place, at)
  try {
    await checkLogFolder(run, place, check.scan.folders)
    await check.checkLog()
    // Else some of its files are still where it was, and fetched by whoever looks for it.
    if (!check.isGone && isComplete) await checkKnown(check, () => {})
  } catch (error) {
    if (!(error instanceof StoreError && error.kind === 'not-found')) throw error
  } finally {
    await check.close()
  }
}

/** Nobody has it open, and only those who list removed mailboxes read it. */
class RemovedCheck extends MailboxCheck {
  override async open(): Promise<void> {
    await using store = this.run.openStore()
    await this.run.accountIn(store, this.place).removed()
  }

  /** Whoever brings the mailbox back takes the files first, and says so before. */
  override async hasStill(record: MessageRecord): Promise<boolean> {
    return (await super.hasStill(record)) && (await aboutAt(this.run, this.directory))?.complete === true
  }

  override mayReplace(): void {
    throw new Error('bring the mailbox back with msadm undelete, and then check it again')
  }
}
