/**
 * Mailboxes that were removed and can be brought back: `<account>/.removed/<id>/` has the log as it was, the message files, in `about` the
 * names of the mailbox, and an empty file `since` whose age is that of the removal. What a maintainer could break:
 * - The mailbox goes, and comes back, with its log, in one rename. Its message files move one by one, since at any moment after somebody may
 *   make a mailbox of the same name, in the same directory: only files that this log names are touched.
 * - So a crash leaves files in a directory that one of the names stands for. `about` tells the names before anything moves, and `collect`
 *   goes on from there.
 * - Who restores or purges renames the folder first: one alone succeeds, and whoever else is at it finds nothing there any more.
 */

import { StoreError } from '../base/errors.ts'
import type { MailboxId, UserId } from '../base/ids.ts'
import { CommitLog } from './commit-log.ts'
import type { StoreContext } from './context.ts'
import { findLogId } from './epochs.ts'
import { codeOf, type StoreFs, unlessAbsent } from './fs.ts'
import { fileSystemTime } from './leavings.ts'
import { MailboxState, type Outcome } from './mailbox-state.ts'
import { canonicalName, mailboxPath } from './names.ts'
import { removeTree } from './remove-tree.ts'
import { severalAtOnce } from './several.ts'
import { folders, makeDirectories, makeIfAbsent } from './tree.ts'
import type { RemovedMailbox } from './types.ts'
import { uniqueName } from './unique.ts'

/** Name of the directory in an account's own. No mailbox has it: a level never begins with a dot. */
export const removedName = '.removed'

/** What is written of a removed mailbox. */
export interface About {
  /** Its name, and behind it those under which it was to be brought back. */
  readonly names: readonly string[]
  /** Its message files are all here. */
  readonly complete: boolean
}

const dayMs = 86_400_000
const taken = ['ENOTEMPTY', 'EEXIST']
/** Files moved at the same time. */
const movesAtOnce = 16

export class RemovedMailboxes {
  private readonly context: StoreContext
  private readonly userId: UserId
  /** Of the account. */
  private readonly account: string

  constructor(context: StoreContext, userId: UserId, account: string) {
    this.context = context
    this.userId = userId
    this.account = account
  }

  /** Removes a mailbox; `gone` is called when it is not there any more. Throws StoreError not-found. */
  async take(name: string, gone: () => void): Promise<void> {
    const { fs, log } = this.context
    const directory = this.directoryOf(name)
    if ((await unlessAbsent(fs.status(`${directory}/log`))) === undefined) throw noMailbox()
    const at = this.pathOf(uniqueName())
    await makeDirectories(fs, this.account, at)
    for (const folder of folders) await makeIfAbsent(fs, `${at}/${folder}`)
    await this.describe(at, { names: [name], complete: false })
    const files = await this.filesIn(directory)
    try {
      await fs.rename(`${directory}/log`, `${at}/log`)
    } catch (error) {
      // Network file systems may call their own success a failure: then all that is left of the mailbox is here.
      if ((await unlessAbsent(fs.status(`${at}/log`))) === undefined) {
        await removeTree(fs, at)
        throw codeOf(error) === 'ENOENT' ? noMailbox() : error
      }
    }
    gone()
    await fs.syncDirectory(at)
    await fs.syncDirectory(directory)
    // The mailbox is removed, whatever becomes of its files: those that stay behind are found when they are looked for.
    const move = async () => {
      // Also what no commit named: while the log was there, everything here was this mailbox's.
      await this.moveAll(files, `${directory}/msg`, `${at}/msg`)
      await unlessAbsent(this.complete(at))
    }
    await move().catch((error: unknown) =>
      log.log('warning', 'not all of a removed mailbox was put aside; the next who looks goes on', {
        user: this.userId,
        mailbox: name,
        cause: String(error),
      }),
    )
  }

  /** Oldest first. */
  async list(): Promise<readonly RemovedMailbox[]> {
    const now = await this.now()
    const found: RemovedMailbox[] = []
    for (const id of now === undefined ? [] : await this.ids()) {
      const removed = await unlessGone(this.look(id, now!))
      if (removed !== undefined) found.push(removed)
    }
    return found.sort((a, b) => a.removedAt - b.removedAt)
  }

  private async look(id: string, now: number): Promise<RemovedMailbox> {
    const at = this.pathOf(id)
    const { names } = await this.complete(at)
    const { messages } = (await this.logOf(at)).state
    let sizeOctets = 0
    for (const message of messages) sizeOctets += message.sizeOctets
    const removedAt = Math.floor((this.context.clock.now() - now + (await this.removedMs(at))) / 1000)
    const mailboxId = (await findLogId(this.context.fs, at)) as MailboxId | undefined
    if (mailboxId === undefined) throw noMailbox()
    return { id, mailboxId, name: names[0]!, removedAt, messages: messages.length, sizeOctets }
  }

  /** Brings a mailbox back as it was, under its name or, where that is taken, one close to it. Throws StoreError not-found. */
  async restore(id: string): Promise<string> {
    const at = await this.claim(id)
    for (let attempt = 0; ; ) {
      if ((await unlessAbsent(this.context.fs.status(`${at}/log`))) === undefined) throw noMailbox()
      const { names } = await this.complete(at)
      const name = nameFor(names[0]!, attempt)
      try {
        if (await this.restoreAs(name, names, at)) return name
        attempt += 1
      } catch (error) {
        // A level above was removed at the same moment, or all this is in somebody else's hands now.
        if (codeOf(error) !== 'ENOENT') throw error
      }
    }
  }

  /** False when there is a mailbox of this name; the message files are where `complete` finds them. */
  private async restoreAs(name: string, names: readonly string[], at: string): Promise<boolean> {
    const { fs } = this.context
    const directory = this.directoryOf(name)
    if ((await unlessAbsent(fs.status(`${directory}/log`))) !== undefined) return false
    await this.describe(at, { names: [...new Set([...names, name])], complete: false })
    await makeDirectories(fs, this.account, directory)
    for (const folder of folders) await makeIfAbsent(fs, `${directory}/${folder}`)
    // Before the only copy of a message lies in it.
    await fs.syncDirectory(directory)
    await this.moveAll(await this.filesIn(at), `${at}/msg`, `${directory}/msg`)
    await fs.syncDirectory(`${directory}/msg`)
    try {
      await fs.rename(`${at}/log`, `${directory}/log`)
    } catch (error) {
      if (!(await this.hasLeft(at, directory))) {
        if (taken.includes(codeOf(error) ?? '')) return false
        throw error
      }
    }
    await fs.syncDirectory(directory)
    await fs.syncDirectory(at)
    await removeTree(fs, at)
    return true
  }

  /** Network file systems may call their own success a failure. Whoever else takes the mailbox takes all of `at`. */
  private async hasLeft(at: string, directory: string): Promise<boolean> {
    const { fs } = this.context
    const paths = [at, `${at}/log`, `${directory}/log`]
    const [whole, log, back] = await Promise.all(paths.map((path) => unlessAbsent(fs.status(path))))
    return whole !== undefined && log === undefined && back !== undefined
  }

  /** Goes on with what a crash interrupted, and removes for good what is older than `keepDays`. */
  async sweep(keepDays: number): Promise<void> {
    const now = await this.now()
    if (now === undefined) return
    for (const id of await this.ids()) {
      const at = this.pathOf(id)
      const removedMs = await unlessAbsent(this.removedMs(at))
      if (removedMs === undefined) continue
      if (now - removedMs < keepDays * dayMs) await unlessGone(this.complete(at))
      else await this.purge(id)
    }
  }

  /** Also message files that did not get here yet. */
  private async purge(id: string): Promise<void> {
    const { fs } = this.context
    const away = `${this.account}/tmp/${uniqueName()}`
    await this.complete(this.pathOf(id)).catch(() => {})
    if ((await unlessAbsent(fs.rename(this.pathOf(id), away).then(() => true))) === undefined) return
    await fs.syncDirectory(`${this.account}/${removedName}`)
    await removeTree(fs, away)
  }

  private pathOf(id: string): string {
    return `${this.account}/${removedName}/${id}`
  }

  private directoryOf(name: string): string {
    return `${this.account}/${mailboxPath(canonicalName(name))}`
  }

  private async ids(): Promise<readonly string[]> {
    const entries = (await unlessAbsent(this.context.fs.list(`${this.account}/${removedName}`))) ?? []
    return entries.flatMap(({ name, isDirectory }) => (isDirectory ? [name] : []))
  }

  /** Time by the file system's clock; undefined when nothing was ever removed. */
  private async now(): Promise<number | undefined> {
    const { fs } = this.context
    if ((await unlessAbsent(fs.status(`${this.account}/${removedName}`))) === undefined) return undefined
    return await fileSystemTime(fs, this.account)
  }

  /** By the file system's clock. */
  private async removedMs(at: string): Promise<number> {
    return (await this.context.fs.status(`${at}/since`)).changedMs
  }

  /** Nobody else restores or purges it now. */
  private async claim(id: string): Promise<string> {
    const { fs } = this.context
    const claimed = this.pathOf(uniqueName())
    if (!/^[a-z0-9]+$/.test(id)) throw noMailbox()
    if ((await unlessAbsent(fs.rename(this.pathOf(id), claimed).then(() => true))) === undefined) throw noMailbox()
    await fs.syncDirectory(`${this.account}/${removedName}`)
    return claimed
  }

  private describe(at: string, about: About): Promise<void> {
    return writeAbout(this.context.fs, at, about)
  }

  private async aboutOf(at: string): Promise<About> {
    const about = parseAbout(await this.context.fs.read(`${at}/about`))
    if (about === undefined) throw new StoreError('damaged', `${at}/about is damaged`)
    return about
  }

  private async logOf(at: string): Promise<CommitLog<Outcome, MailboxState>> {
    const log: CommitLog<Outcome, MailboxState> = new CommitLog(
      this.context,
      'mailbox',
      at,
      () => new MailboxState(this.context.clock),
    )
    await log.open()
    return log
  }

  private async filesIn(mailbox: string): Promise<readonly string[]> {
    return ((await unlessAbsent(this.context.fs.list(`${mailbox}/msg`))) ?? []).map(({ name }) => name)
  }

  /** Fetches the message files that are still, or again, in a directory of one of its names. */
  private async complete(at: string): Promise<About> {
    const { fs } = this.context
    const about = await this.aboutOf(at)
    if (about.complete || (await unlessAbsent(fs.status(`${at}/log`))) === undefined) return about
    const here = new Set(await this.filesIn(at))
    let missing: string[] = []
    const { messages, expunged } = (await this.logOf(at)).state
    for (const { file, isHere } of messages) if (isHere && !here.has(file)) missing.push(file)
    for (const { message } of expunged) if (message.isHere && !here.has(message.file)) missing.push(message.file)
    for (const name of about.names) missing = await this.moveAll(missing, `${this.directoryOf(name)}/msg`, `${at}/msg`)
    if (missing.length > 0)
      this.context.log.log('warning', 'message files of a removed mailbox are missing', {
        user: this.userId,
        mailbox: about.names[0]!,
        files: missing.length,
      })
    await fs.syncDirectory(`${at}/msg`)
    const done = { names: about.names, complete: true }
    await this.describe(at, done)
    return done
  }

  /** Answers those that were not there. */
  private async moveAll(files: readonly string[], from: string, to: string): Promise<string[]> {
    const { fs, slots } = this.context
    const absent: string[] = []
    await severalAtOnce(files, movesAtOnce, async (file) => {
      const moved = slots.run(() => fs.rename(`${from}/${file}`, `${to}/${file}`))
      if ((await unlessAbsent(moved.then(() => true))) === undefined) absent.push(file)
    })
    return absent
  }
}

/** Undefined where the octets tell no name. */
export function parseAbout(octets: Buffer): About | undefined {
  try {
    const { names, complete } = JSON.parse(octets.toString('utf8')) as About
    return names.length === 0 ? undefined : { names: names.map(canonicalName), complete: complete === true }
  } catch {
    return undefined
  }
}

/** Durable when resolved. `at`: the folder of the removed mailbox. */
export async function writeAbout(fs: StoreFs, at: string, about: About): Promise<void> {
  if ((await unlessAbsent(fs.status(`${at}/since`))) === undefined) await fs.write(`${at}/since`, Buffer.alloc(0))
  const written = `${at}/tmp/${uniqueName()}`
  await fs.write(written, Buffer.from(`${JSON.stringify(about)}\n`))
  await fs.rename(written, `${at}/about`)
  await fs.syncDirectory(at)
}

/** 'Lists', 'Lists (restored)', 'Lists (restored 2)' … */
function nameFor(name: string, attempt: number): string {
  if (attempt === 0) return name
  return canonicalName(`${name} (restored${attempt === 1 ? '' : ` ${attempt}`})`)
}

/** undefined where somebody else restored or purged it meanwhile, or where what it was can't be read. */
async function unlessGone<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await unlessAbsent(work)
  } catch (error) {
    if (error instanceof StoreError && (error.kind === 'not-found' || error.kind === 'damaged')) return undefined
    throw error
  }
}

function noMailbox(): StoreError {
  return new StoreError('not-found', 'The mailbox does not exist')
}
