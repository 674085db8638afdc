/** How far a check has come, and how long the rest will take if it goes on like this. */

import type { Clock } from '../../base/clock.ts'
import type { Step } from '../../store/verify/run.ts'

const everyMs = 500

export class Progress {
  /** What is behind us. */
  readonly checked = { accounts: 0, mailboxes: 0, messages: 0, octets: 0 }
  private readonly clock: Clock
  private readonly show: ((text: string) => void) | undefined
  private readonly startMs: number
  private shownMs: number
  private accountCount = 0
  /** Of the present account, and of its present mailbox. */
  private readonly account = { mailboxes: 0, done: 0 }
  private readonly mailbox = { messages: 0, done: 0 }

  /** `show` puts a line in the place of the last one; undefined: nobody looks. */
  constructor(clock: Clock, show: ((text: string) => void) | undefined) {
    this.clock = clock
    this.show = show
    this.startMs = clock.monotonic()
    this.shownMs = this.startMs
  }

  accounts(accounts: { readonly count: number } | 'ended'): void {
    if (accounts === 'ended') this.checked.accounts += 1
    else this.accountCount = accounts.count
    Object.assign(this.account, { mailboxes: 0, done: 0 })
    this.tell()
  }

  step(step: Step): void {
    if (step.what === 'mailboxes') this.account.mailboxes = step.count
    else if (step.what === 'messages') Object.assign(this.mailbox, { messages: step.count, done: 0 })
    else if (step.what === 'mailbox') {
      this.checked.mailboxes += 1
      this.account.done += 1
      Object.assign(this.mailbox, { messages: 0, done: 0 })
    } else {
      this.checked.messages += 1
      this.checked.octets += step.octets
      this.mailbox.done += 1
    }
    this.tell()
  }

  /** Takes the line away, before others are written. */
  clear(): void {
    this.show?.('')
  }

  end(): void {
    this.clear()
  }

  /** From 0 to 1. Accounts, and the mailboxes of one, are taken to be of one size. */
  private get share(): number {
    const inMailbox = this.mailbox.messages === 0 ? 0 : this.mailbox.done / this.mailbox.messages
    const inAccount = this.account.mailboxes === 0 ? 0 : (this.account.done + inMailbox) / this.account.mailboxes
    return Math.min(1, (this.checked.accounts + Math.min(1, inAccount)) / Math.max(1, this.accountCount))
  }

  private tell(): void {
    const now = this.clock.monotonic()
    if (this.show === undefined || now - this.shownMs < everyMs) return
    this.shownMs = now
    const { share } = this
    const left = share === 0 ? '' : `, about ${duration(((now - this.startMs) / share) * (1 - share))} left`
    const { accounts, messages } = this.checked
    this.show(`${Math.floor(100 * share)} %, ${accounts} of ${this.accountCount} accounts, ${messages} messages${left}`)
  }
}

function duration(ms: number): string {
  const seconds = Math.ceil(ms / 1000)
  const two = (value: number) => String(value).padStart(2, '0')
  return `${Math.floor(seconds / 3600)}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`
}
