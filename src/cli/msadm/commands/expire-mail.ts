import { readFile } from 'node:fs/promises'
import type { AccountRecord } from '../../../auth/accounts.ts'
import { canonicalUserId, defaultDomain } from '../../../auth/user-id.ts'
import { systemClock } from '../../../base/clock.ts'
import type { UserId } from '../../../base/ids.ts'
import { listenersOf } from '../../../config/listeners.ts'
import { severalAtOnce } from '../../../store/several.ts'
import {
  type Command,
  CommandError,
  type Context,
  canonical,
  passwordOf,
  readArguments,
  UsageError,
} from '../command.ts'
import { type DoneFile, openDoneFile } from '../expiry/done-file.ts'
import { expiringOf } from '../expiry/policy.ts'
import { AdminRefused, expire, type ImapService } from '../expiry/session.ts'

const connections = 4
const maxConnections = 100
/** Between two words on how far it is. */
const everyMs = 1000

export const expireMail: Command = {
  name: 'expire_mail',
  usage: 'expire_mail -p admin_password [-f file [-c] [-n connections] | -l | userid]',
  summary: 'removes old mail, of all enabled users, of those in a file or of one, as their rules say',
  details: `  -p password  the password of admin_user; -p - reads it from standard input
  -l           only lists the enabled users, one a line, fit for -f
  -f file      the users of this file, one a line
  -c           with -f: goes on where the last run was interrupted; without it that is forgotten
  -n number    with -f: sessions at the same time, 0 is 4

A user's rules are the values of isodeMboxMailExpirationPolicy, such as INBOX$86400 (older than so many seconds, by the date of arrival) or
INBOX$NONE (never); a user without any has those of expiration_policy. A mailbox that no rule names is not touched. The work is done over IMAP at
imap_host and imap_port, as admin_user acting for the user, so imapd has to run, and not in gateway mode. What is removed can be brought back with
msadm undelete, for undelete_days. With -f, FILE.progress tells who is done.
Exit status: 0 done; 1 some users were not; they are told, and -c takes up those.

Examples
  msadm expire_mail -p - joe@example.org      msadm expire_mail -l > users
  msadm expire_mail -p - -f users -n 8        msadm expire_mail -p - -f users -c -n 8`,
  run: async (args, context) => {
    const { values, positionals } = readArguments(args, {
      p: { type: 'string', short: 'p' },
      l: { type: 'boolean', short: 'l' },
      f: { type: 'string', short: 'f' },
      c: { type: 'boolean', short: 'c' },
      n: { type: 'string', short: 'n' },
    })
    const [given, ...more] = positionals
    if (more.length > 0) throw new UsageError(`${JSON.stringify(more[0])} is one word too many`)
    if ([values.l, values.f, given].filter((one) => one !== undefined).length > 1)
      throw new UsageError('-f, -l and a userid exclude each other')
    if (values.f === undefined && (values.c || values.n !== undefined)) throw new UsageError('-c and -n belong to -f')
    const atOnce = readConnections(values.n)
    if (values.l) {
      for await (const { userId } of enabled(context)) context.print(userId, { userId })
      return
    }
    if (values.p === undefined) throw new UsageError('-p admin_password is needed; -p - reads it from standard input')
    const service = await serviceOf(values.p, context)
    const done = values.f === undefined ? undefined : await openDoneFile(values.f, values.c === true)
    try {
      const users = await chosen(given, values.f, context)
      await new Run(service, context, done).of(users, atOnce)
      await done?.remove()
    } finally {
      await done?.close()
    }
  },
}

/** Throws UsageError. */
export function readConnections(text: string | undefined): number {
  if (text === undefined) return connections
  const number = /^\d{1,3}$/.test(text) ? Number(text) : Number.NaN
  if (!(number <= maxConnections)) throw new UsageError(`-n takes a number of connections from 0 to ${maxConnections}`)
  return number === 0 ? connections : number
}

/** EXP-05 */
async function* enabled({ accounts }: Context): AsyncGenerator<AccountRecord> {
  for await (const account of accounts.list()) if (account.state === 'enabled') yield account
}

async function serviceOf(given: string, context: Context): Promise<ImapService> {
  const { config } = context
  const admin = config.get('admin_user')
  // EXP-04, C-08
  if (admin === undefined || admin === '')
    throw new CommandError('admin_user is not set: msadm add makes an account for it, and ms.conf names it')
  if (config.get('gateway_mode'))
    throw new CommandError(
      'gateway_mode is on: nobody can act for a user there, since the backend decides about logins',
    )
  const timeout = config.get('client_timeout')
  return {
    listener: listenersOf(config, 'imap')[0]!,
    adminUser: canonicalUserId(admin, defaultDomain(config, undefined)),
    password: (await passwordOf(given, context)).toString(),
    patienceMs: timeout < 0 ? undefined : timeout * 1000,
    clock: systemClock,
  }
}

/** Users of a file are names only; their accounts are looked up when it is their turn. */
async function chosen(
  given: string | undefined,
  file: string | undefined,
  context: Context,
): Promise<readonly UserId[]> {
  if (given !== undefined) return [canonical(given, context)]
  if (file === undefined) {
    const userIds: UserId[] = []
    for await (const { userId } of enabled(context)) userIds.push(userId)
    return userIds
  }
  const lines = (await readFile(file, 'utf8')).split('\n').map((line) => line.trim())
  return [
    ...new Set(lines.filter((line) => line !== '' && !line.startsWith('#')).map((line) => canonical(line, context))),
  ]
}

class Run {
  private readonly service: ImapService
  private readonly context: Context
  private readonly done: DoneFile | undefined
  private readonly show: ((text: string) => void) | undefined
  private readonly beganMs = systemClock.monotonic()
  private shownMs = this.beganMs
  private total = 0
  private ended = 0
  private removed = 0
  private failed = 0

  constructor(service: ImapService, context: Context, done: DoneFile | undefined) {
    this.service = service
    this.context = context
    this.done = done
    this.show = context.showProgress(false)
  }

  /** Throws CommandError when some could not be done. */
  async of(users: readonly UserId[], atOnce: number): Promise<void> {
    const left = users.filter((userId) => this.done?.has(userId) !== true)
    this.total = left.length
    await severalAtOnce(left, atOnce, (userId) => this.user(userId))
    this.show?.('')
    const before = users.length - left.length
    const text = `${this.removed} messages of ${left.length - this.failed} users expired`
    this.context.print(before === 0 ? text : `${text}, ${before} users were done before`, {
      messages: this.removed,
      users: left.length - this.failed,
      before,
      failed: this.failed,
    })
    if (this.failed > 0) throw new CommandError(`${this.failed} of ${left.length} users were not done`)
  }

  private async user(userId: UserId): Promise<void> {
    try {
      await this.expire(userId)
      await this.done?.add(userId)
    } catch (error) {
      if (error instanceof AdminRefused || !(error instanceof Error)) throw error
      this.failed += 1
      this.tell(`${userId}: not done: ${error.message}`, { userId, error: error.message })
    }
    this.ended += 1
    this.progress()
  }

  private async expire(userId: UserId): Promise<void> {
    const { config, accounts } = this.context
    const account = await accounts.find(userId)
    if (account === undefined) throw new CommandError('there is no such account')
    if (account.state !== 'enabled') throw new CommandError(`the account is ${account.state}`)
    const expiring = expiringOf(account, config)
    if (expiring.length === 0) return
    const removed = await expire(this.service, account.userId, expiring, systemClock.now())
    for (const [mailbox, messages] of removed) {
      this.removed += messages
      this.tell(`${userId}: ${messages} messages of ${JSON.stringify(mailbox)} expired`, { userId, mailbox, messages })
    }
  }

  private tell(text: string, values: Readonly<Record<string, unknown>>): void {
    this.show?.('')
    this.context.print(text, values)
  }

  private progress(): void {
    const now = systemClock.monotonic()
    if (this.show === undefined || now - this.shownMs < everyMs) return
    this.shownMs = now
    const secondsLeft = Math.ceil(((now - this.beganMs) / 1000 / this.ended) * (this.total - this.ended))
    this.show(`${this.ended} of ${this.total} users, ${this.removed} messages, about ${secondsLeft} s left`)
  }
}
