import type { MailboxState } from '../mailbox-state.ts'
import { RecentlyUsed } from '../recently-used.ts'
import type { ArchivedLog } from './archived-log.ts'

/** What the mailboxes asked for lately may take in memory together. */
const maxOctets = 64 * 1_048_576
/** About: an empty mailbox, and more for each message. */
const mailboxOctets = 4096
const messageOctets = 250

type Log = ArchivedLog<MailboxState>

/** The logs of archived mailboxes that were read lately, for all sessions of the process, by directory. */
export class MailboxLogs {
  private readonly known = new RecentlyUsed<Log>(maxOctets)
  private readonly reading = new Map<string, Promise<Log>>()

  async of(directory: string, read: () => Promise<Log>): Promise<Log> {
    const known = this.known.get(directory)
    if (known !== undefined) return known
    let reading = this.reading.get(directory)
    if (reading === undefined) {
      reading = this.keep(directory, read()).finally(() => this.reading.delete(directory))
      this.reading.set(directory, reading)
    }
    return await reading
  }

  private async keep(directory: string, reading: Promise<Log>): Promise<Log> {
    const log = await reading
    this.known.set(directory, log, mailboxOctets + messageOctets * log.state.weight)
    return log
  }
}
