/**
 * Expunged messages: brought back, or purged when they are old. The row of an expunged message stays in the log's state, and so does its
 * file, until a `purge` is committed: only then the file may go, and whoever finds no row any more knows that it is gone for good.
 */

import { StoreError } from '../base/errors.ts'
import type { Uid } from '../base/ids.ts'
import { inTurns } from './breath.ts'
import type { StoreContext } from './context.ts'
import { linkAll, removeAll } from './copy.ts'
import type { ExpungedMessages, StoredExpunged } from './expunged.ts'
import { unlessAbsent } from './fs.ts'
import { fileSystemTime, graceMs } from './leavings.ts'
import type { OpenMailbox } from './mailbox.ts'
import { operations } from './operations.ts'
import type { StoredMessage } from './record.ts'
import type { CopyResult } from './types.ts'
import { sortedUids } from './uid-set.ts'

const daySeconds = 86_400
const hourMs = 3_600_000

/**
 * Gives the messages new UIDs in the same mailbox: their files get a second name, without an origin, so that nobody takes them for what is
 * at a backend. The same commit purges the rows: of two who bring back a message, one does.
 */
export async function undeleteMessages(
  context: StoreContext,
  mailbox: OpenMailbox,
  uids: readonly Uid[],
): Promise<CopyResult> {
  const { directory } = mailbox
  const wanted = new Set(uids)
  const rows = await rowsWhere(mailbox.expunged(), ({ message }) => wanted.has(message.uid))
  const messages = await withFiles(context, directory, rows)
  if (messages.length === 0) return { uidValidity: mailbox.uidValidity, pairs: [] }
  const files = await linkAll(context, directory, messages, mailbox)
  const remove = (indexes: Iterable<number>) =>
    removeAll(
      context,
      `${directory}/msg`,
      Array.from(indexes, (index) => files[index]!),
    )
  let chosen: readonly number[] = []
  try {
    const result = await mailbox.commit<CopyResult>({
      files: { folder: `${directory}/msg` },
      plan: () => {
        const there = mailbox.plans.claimExpunged(messages.map(({ uid }) => uid))
        chosen = [...messages.keys()].filter((index) => there.has(messages[index]!.uid))
        if (chosen.length === 0) return []
        const additions = chosen.map((index) => ({
          file: files[index]!,
          flags: mailbox.canonicalFlags([...messages[index]!.flags].filter((flag) => flag !== '\\Deleted')),
          origin: undefined,
          uidl: undefined,
          uid: undefined,
        }))
        return [...mailbox.plans.additions(additions), operations.purge(chosen.map((index) => messages[index]!.uid))]
      },
      done: (outcomes) => ({
        uidValidity: mailbox.uidValidity,
        pairs: chosen.flatMap((index, at): (readonly [Uid, Uid])[] => {
          const delivered = outcomes[at]?.delivered
          return delivered !== undefined && 'uid' in delivered ? [[messages[index]!.uid, delivered.uid]] : []
        }),
      }),
    })
    const back = new Set(chosen)
    await remove([...files.keys()].filter((index) => !back.has(index)))
    mailbox.removeFilesLater(chosen.map((index) => messages[index]!.file))
    return result
  } catch (error) {
    // Refused by the plan. From any other failure on the files stay: a commit that seems to have failed may have been made.
    if (error instanceof StoreError && error.kind === 'limit') await remove(files.keys())
    throw error
  }
}

/** Ascending UID; a message whose file is lost is left out. */
async function withFiles(
  { fs, log }: StoreContext,
  directory: string,
  rows: readonly StoredExpunged[],
): Promise<StoredMessage[]> {
  const messages: StoredMessage[] = []
  for (const { message } of rows) {
    // It was never here: the old server has it.
    if (!message.isHere) continue
    const status = await unlessAbsent(fs.status(`${directory}/msg/${message.file}`))
    if (status !== undefined) messages.push(message)
    else log.log('warning', 'the file of an expunged message is missing', { directory, file: message.file })
  }
  return messages.sort((a, b) => a.uid - b.uid)
}

async function rowsWhere(
  expunged: ExpungedMessages,
  isWanted: (row: StoredExpunged) => boolean,
): Promise<StoredExpunged[]> {
  const rows: StoredExpunged[] = []
  for await (const row of inTurns(expunged)) if (isWanted(row)) rows.push(row)
  return rows
}

/** Gives up what can't be brought back any more, and then removes the files. */
export class Purger {
  private readonly context: StoreContext
  private readonly mailbox: OpenMailbox
  private lookedMs: number | undefined

  constructor(context: StoreContext, mailbox: OpenMailbox) {
    this.context = context
    this.mailbox = mailbox
  }

  /** At the first call, and then once an hour as long as it is called. */
  purgeWhenDue(): void {
    const { clock, closing, log } = this.context
    const now = clock.monotonic()
    if (this.lookedMs !== undefined && now - this.lookedMs < hourMs) return
    this.lookedMs = now
    this.purgeOld().catch((error: unknown) => {
      if (!closing.aborted)
        log.log('info', 'expunged messages were not purged', { mailbox: this.mailbox.name, error: String(error) })
    })
  }

  /** Those that are meant, in one commit. */
  async purge(isMeant: (row: StoredExpunged) => boolean): Promise<void> {
    const rows = await rowsWhere(this.mailbox.expunged(), isMeant)
    if (rows.length === 0) return
    const uids = sortedUids(rows.map(({ message }) => message.uid))
    // Rows that somebody else purged meanwhile are no harm: then their files may go as well.
    await this.mailbox.commit({ plan: () => [operations.purge(uids)], done: () => {} })
    const { fs, closing } = this.context
    for (const { message } of rows) {
      closing.throwIfAborted()
      await unlessAbsent(fs.remove(`${this.mailbox.directory}/msg/${message.file}`))
    }
  }

  /** Those that can't be brought back any more, by their age. */
  async purgeOld(): Promise<void> {
    const { fs, clock, undeleteDays } = this.context
    // In the order in which they left.
    const [oldest] = this.mailbox.expunged()
    const keepSeconds = Math.max(graceMs / 1000, undeleteDays() * daySeconds)
    const isDue =
      (now: number) =>
      ({ expungedAt }: StoredExpunged) =>
        expungedAt + keepSeconds <= now
    if (oldest === undefined || !isDue(clock.now() / 1000)(oldest)) return
    // A clock that is wrong must cost nobody a message: that of the files decides, as for all that is removed by age.
    const now = (await fileSystemTime(fs, this.mailbox.directory)) / 1000
    await this.mailbox.refresh()
    await this.purge(isDue(now))
  }
}
