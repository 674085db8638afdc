import { systemClock } from '../../../base/clock.ts'
import { StoreError } from '../../../base/errors.ts'
import type { Account, ExpungeCause, ExpungedMessage, RemovedMailbox } from '../../../store/types.ts'
import { type Command, CommandError, type Context, readArguments, UsageError } from '../command.ts'
import { mailOf } from '../mail-of.ts'
import { timeOf } from '../time.ts'

const daySeconds = 86_400
const causes: readonly string[] = ['client', 'backend', 'window', 'any']

export const undelete: Command = {
  name: 'undelete',
  usage: 'undelete [--list] [--since TIME] [--cause client|backend|window|any] userid [mailbox]',
  summary: 'brings back expunged messages and deleted mailboxes, of a user or of one mailbox',
  details: `  --list       only shows what can be brought back, with the days left of undelete_days
  --since TIME what left since then: 2026-11-20, 2026-11-20T10:00 (local time), -3d or -12h (days or hours ago)
  --cause WHY  client: a user or a client deleted it (default); backend: it vanished at the backend; window: fetch_last_n
               pushed it out; any: all of these

Messages come back into their mailbox, with their flags but for \\Deleted, as new ones: to a backend they are copies, which it never
deletes. A deleted mailbox comes back as it was, under its name, or as "NAME (restored)" where there is one of that name now.
A shared root is named as users see it: 'Shared Folders/Projects'.
Exit status: 0 done; 1 there is nothing to bring back, no such user or no such mailbox; 64 wrong arguments.

Examples
  msadm undelete --list joe@example.org       msadm undelete --since -3d joe@example.org INBOX
  msadm undelete joe@example.org Lists        msadm undelete --json --list --cause any joe@example.org`,
  run: async (args, context) => {
    const { values, positionals } = readArguments(withSince(args), {
      list: { type: 'boolean' },
      since: { type: 'string' },
      cause: { type: 'string', default: 'client' },
    })
    const [given, mailbox, ...more] = positionals
    if (given === undefined) throw new UsageError('a userid is missing, for example joe@example.org')
    if (more.length > 0) throw new UsageError(`${JSON.stringify(more[0])} is one word too many`)
    if (!causes.includes(values.cause)) throw new UsageError(`--cause is one of ${causes.join(', ')}`)
    const account = await mailOf(given, context)
    const { userId } = account
    const now = Math.floor(systemClock.now() / 1000)
    const since = values.since === undefined ? 0 : timeOf(values.since, now)
    const wanted: Wanted = {
      since,
      mailbox,
      mailboxes: values.cause === 'client' || values.cause === 'any',
      causes: values.cause === 'any' ? ['client', 'backend', 'window'] : [values.cause as ExpungeCause],
    }
    const done = await (values.list ? list(account, wanted, now, context) : bringBack(account, wanted, context))
    if (mailbox !== undefined && !done.known)
      throw new CommandError(
        `${userId} has no mailbox ${JSON.stringify(mailbox)}, and none of that name can be brought back`,
      )
    if (!values.list && done.count === 0) throw new CommandError('there is nothing to bring back')
  },
}

/** What of an account is meant. */
interface Wanted {
  /** Seconds since 1970. */
  readonly since: number
  readonly mailbox: string | undefined
  /** Deleted mailboxes as well. */
  readonly mailboxes: boolean
  readonly causes: readonly ExpungeCause[]
}

interface Done {
  /** The mailbox that was named is there, or was brought back or listed. */
  readonly known: boolean
  readonly count: number
}

/** `--since -3d` means what it says; the reader of switches would take -3d for one. */
function withSince(args: readonly string[]): readonly string[] {
  const at = args.indexOf('--since')
  const value = args[at + 1]
  if (at < 0 || value === undefined) return args
  return [...args.slice(0, at), `--since=${value}`, ...args.slice(at + 2)]
}

async function removedOf(account: Account, { since, mailbox, mailboxes }: Wanted): Promise<readonly RemovedMailbox[]> {
  if (!mailboxes) return []
  const removed = await account.removed()
  return removed.filter(({ name, removedAt }) => removedAt >= since && (mailbox === undefined || name === mailbox))
}

/** Names of the mailboxes that are there. */
async function mailboxesOf(account: Account, { mailbox }: Wanted): Promise<readonly string[]> {
  const names = (await account.list()).flatMap(({ name, selectable }) => (selectable ? [name] : []))
  if (mailbox === undefined) return names
  const same = (name: string) => name === mailbox || (name === 'INBOX' && mailbox.toUpperCase() === 'INBOX')
  return names.filter(same)
}

/** What was deleted before its octets came from an old server can't be brought back. */
const isWanted = ({ since, causes }: Wanted, { message, expungedAt, cause }: ExpungedMessage): boolean =>
  message.isHere && expungedAt >= since && causes.includes(cause)

async function list(account: Account, wanted: Wanted, now: number, context: Context): Promise<Done> {
  const { print, config } = context
  const daysLeft = (since: number) =>
    Math.max(0, Math.round((config.get('undelete_days') - (now - since) / daySeconds) * 10) / 10)
  const removed = await removedOf(account, wanted)
  let [messages, octets] = [0, 0]
  for (const { name, removedAt, messages: count, sizeOctets } of removed) {
    messages += count
    octets += sizeOctets
    print(
      `${JSON.stringify(name)} mailbox, ${count} messages, ${sizeOctets} octets, deleted ${isoOf(removedAt)}, ${daysLeft(removedAt)} days left`,
      {
        kind: 'mailbox',
        mailbox: name,
        messages: count,
        octets: sizeOctets,
        removed: isoOf(removedAt),
        daysLeft: daysLeft(removedAt),
      },
    )
  }
  const names = await mailboxesOf(account, wanted)
  for (const name of names) {
    await using mailbox = await account.open(name)
    for (const expunged of mailbox.expunged()) {
      if (!isWanted(wanted, expunged)) continue
      const { message, expungedAt, cause } = expunged
      messages += 1
      octets += message.sizeOctets
      print(
        `${JSON.stringify(name)} UID ${message.uid}, of ${isoOf(message.internalDate)}, ${message.sizeOctets} octets, expunged (${cause}) ${isoOf(expungedAt)}, ${daysLeft(expungedAt)} days left`,
        {
          kind: 'message',
          mailbox: name,
          uid: message.uid,
          date: isoOf(message.internalDate),
          octets: message.sizeOctets,
          cause,
          expunged: isoOf(expungedAt),
          daysLeft: daysLeft(expungedAt),
        },
      )
    }
  }
  print(`${messages} messages, ${octets} octets, can be brought back`, { kind: 'total', messages, octets })
  return { known: removed.length + names.length > 0, count: messages + removed.length }
}

async function bringBack(account: Account, wanted: Wanted, { print }: Context): Promise<Done> {
  let count = 0
  const names = new Set(await mailboxesOf(account, wanted))
  for (const { id, name, messages, sizeOctets } of await removedOf(account, wanted)) {
    const back = await account.restore(id).catch((error: unknown) => {
      // Somebody else brought it back meanwhile.
      if (error instanceof StoreError && error.kind === 'not-found') return undefined
      throw error
    })
    if (back === undefined) continue
    names.add(back)
    count += 1
    print(
      `brought back mailbox ${JSON.stringify(name)}${back === name ? '' : ` as ${JSON.stringify(back)}`}, ${messages} messages, ${sizeOctets} octets`,
      { kind: 'mailbox', mailbox: name, as: back, messages, octets: sizeOctets },
    )
  }
  for (const name of names) {
    await using mailbox = await account.open(name)
    const sizes = new Map(
      [...mailbox.expunged()]
        .filter((expunged) => isWanted(wanted, expunged))
        .map(({ message }) => [message.uid, message.sizeOctets]),
    )
    const { pairs } = await mailbox.undelete([...sizes.keys()])
    if (pairs.length === 0) continue
    count += pairs.length
    const octets = pairs.reduce((sum, [uid]) => sum + sizes.get(uid)!, 0)
    print(`brought back ${pairs.length} messages, ${octets} octets, to ${JSON.stringify(name)}`, {
      kind: 'messages',
      mailbox: name,
      messages: pairs.length,
      octets,
      uids: pairs.map(([, uid]) => uid),
    })
  }
  return { known: names.size > 0, count }
}

/** 2026-11-20T10:00:00Z */
const isoOf = (seconds: number): string => `${new Date(seconds * 1000).toISOString().slice(0, 19)}Z`
