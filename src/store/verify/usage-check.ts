/** Checks `cache/usage` of an account: what it says of a mailbox, as long as it holds, is what the mailbox's log says. */

import { type FileStatus, unlessAbsent } from '../fs.ts'
import { type KnownStatus, StatusTable } from '../status-table.ts'
import type { MailboxStatus } from '../types.ts'
import type { MailboxCheck } from './mailbox-check.ts'
import type { Place, Run } from './run.ts'

export const usageName = 'usage'
/** As much as whoever uses it reads. */
const maxOctets = 64 * 1024 * 1024
/** A line whose end is missing for longer was cut off. */
const writingMs = 60_000
const lineFeed = 10

export class UsageCheck {
  private readonly run: Run
  private readonly place: Place
  private readonly path: string
  private table = new StatusTable()

  constructor(run: Run, account: Place) {
    this.run = run
    this.place = account
    this.path = `${account.top}/cache/${usageName}`
  }

  /** Reads the file, and looks at its lines. */
  async read(status: FileStatus): Promise<void> {
    if (!(await this.run.checkAccess(this.path, status, this.place))) return
    const file = await unlessAbsent(this.run.fs.open(this.path))
    if (file === undefined) return
    try {
      const octets = await file.read(0, Math.min(file.sizeOctets, maxOctets))
      this.table = await StatusTable.of(octets)
      const isCutOff = octets.length > 0 && octets.length === file.sizeOctets && octets.at(-1) !== lineFeed
      if (this.table.damagedCount > 0) await this.found('cache-damaged', 'a line does not check out')
      else if (isCutOff && this.run.clock.now() - status.changedMs > writingMs)
        await this.found('cache-damaged', 'its last line is cut off')
    } finally {
      await file.close()
    }
  }

  /** Compares what it says of a mailbox. */
  async compare(check: MailboxCheck): Promise<void> {
    const known = this.table.known.get(check.place.mailbox!)
    if (known === undefined || !(await check.refresh())) return
    // Counted after the question and before it is asked again: nothing was committed in between.
    if (!(await this.holds(check, known))) return
    const counted = count(check)
    const differs = (Object.keys(counted) as (keyof typeof counted)[]).find((key) => counted[key] !== known.status[key])
    if (differs === undefined || !(await this.holds(check, known))) return
    await this.found('cache-wrong', `${differs} is ${counted[differs]}, and not ${known.status[differs]}`, check)
  }

  private async holds({ run, directory }: MailboxCheck, { last, next, changedMs }: KnownStatus): Promise<boolean> {
    if ((await unlessAbsent(run.fs.status(`${directory}/${next}`))) !== undefined) return false
    return (await unlessAbsent(run.fs.status(`${directory}/${last}`)))?.changedMs === changedMs
  }

  private async found(kind: 'cache-damaged' | 'cache-wrong', detail: string, check?: MailboxCheck): Promise<void> {
    const { path } = this
    const { userId } = this.place
    this.table = new StatusTable()
    await this.run.found({ kind, path, userId, mailbox: check?.place.mailbox, detail }, async () => {
      await unlessAbsent(this.run.fs.remove(path))
    })
  }
}

function count({ messages, state }: MailboxCheck): Partial<MailboxStatus> {
  let [unseen, deleted, sizeOctets] = [0, 0, 0]
  for (let at = 0; at < messages.length; at += 1) {
    const flags = messages.flagsAt(at)
    if (!flags.has('\\Seen')) unseen += 1
    if (flags.has('\\Deleted')) deleted += 1
    sizeOctets += messages.sizeAt(at)
  }
  return {
    messages: messages.length,
    unseen,
    deleted,
    sizeOctets,
    uidNext: state.uidNext,
    uidValidity: state.uidValidity,
  }
}
