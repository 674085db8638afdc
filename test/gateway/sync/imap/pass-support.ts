/** An account here, one at a real IMAP server, and passes between them. */
import type { ImapFlow } from 'imapflow'
import { onTestFinished } from 'vitest'
import { defaultLimits } from '#gateway/backend/types.ts'
import type { SyncResult } from '#gateway/sync/sync.ts'
import type { SyncOnceRequest } from '#gateway/sync/sync-once.ts'
import type { Backend } from '#src/config/backends.ts'
import type { Account, Mailbox, Store } from '#src/store/types.ts'
import type { Dovecot } from '../../../support/dovecot.ts'
import { backendAt, octetsOf, Syncer, testStore, userId } from '../support.ts'
import { clientOf } from './support.ts'

export interface Both {
  /** Another client of the backend. */
  readonly other: ImapFlow
  /** As clients here have it: a store of its own on the same files. */
  readonly store: Store
  readonly account: Account
  readonly syncer: Syncer
  pass(policy?: Partial<SyncOnceRequest['policy']>, changes?: Partial<SyncOnceRequest>): Promise<SyncResult>
  open(name?: string): Promise<Mailbox>
}

export async function bothSides(
  dovecot: Dovecot,
  { user = 'anna', without = [], ...changes }: Partial<Backend> & { without?: readonly string[] } = {},
): Promise<Both> {
  const gateway = await testStore()
  const clients = await testStore(gateway.root)
  const account = clients.store.account(userId)
  await account.ensure()
  const other = await clientOf(dovecot, { user })
  const backend = backendAt(dovecot.imapPort, { protocol: 'imap', mailbox: '', user, ...changes })
  const syncer = new Syncer(gateway.store, backend, {
    withoutCapabilities: without,
    limits: defaultLimits,
  })
  const opened: Mailbox[] = []
  onTestFinished(async () => {
    for (const mailbox of opened) await mailbox.close()
    other.close()
    await clients[Symbol.asyncDispose]()
    await gateway[Symbol.asyncDispose]()
  })
  return {
    other,
    store: clients.store,
    account,
    syncer,
    pass: (policy, more) => syncer.sync(policy, { password: Buffer.from('secret'), ...more }),
    async open(name = 'INBOX') {
      const mailbox = await account.open(name)
      opened.push(mailbox)
      return mailbox
    },
  }
}

export interface Seen {
  readonly text: string
  readonly flags: string
  readonly date: number
}

const flagsOf = (flags: Iterable<string>) =>
  [...flags]
    .filter((flag) => flag !== '\\Recent')
    .sort()
    .join(' ')

/** Of every mailbox: octets, flags and dates, sorted. */
export async function treeHere({ account }: Both): Promise<Record<string, readonly Seen[]>> {
  const tree: Record<string, readonly Seen[]> = {}
  for (const { name, selectable } of await account.list()) {
    if (!selectable) continue
    await using mailbox = await account.open(name)
    await mailbox.refresh()
    const seen: Seen[] = []
    for (const record of mailbox.messages)
      seen.push({
        text: (await octetsOf(mailbox, record)).toString('latin1'),
        flags: flagsOf(record.flags),
        date: record.internalDate,
      })
    tree[name] = sorted(seen)
  }
  return tree
}

export async function treeThere({ other }: Both): Promise<Record<string, readonly Seen[]>> {
  const tree: Record<string, readonly Seen[]> = {}
  for (const { path, flags } of await other.list()) {
    if (flags.has('\\Noselect') || flags.has('\\NonExistent')) continue
    const mailbox = await other.mailboxOpen(path)
    const seen: Seen[] = []
    if (mailbox.exists > 0)
      for await (const message of other.fetch('1:*', { source: true, flags: true, internalDate: true }))
        seen.push({
          text: message.source!.toString('latin1'),
          flags: flagsOf(message.flags!),
          date: new Date(message.internalDate!).getTime() / 1000,
        })
    tree[path] = sorted(seen)
  }
  await other.mailboxClose().catch(() => {})
  return tree
}

const sorted = (seen: readonly Seen[]) => seen.toSorted((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1))

export const message = (subject: string, body = 'text'): string =>
  `From: a@example.org\r\nMessage-ID: <${subject}@example.org>\r\nSubject: ${subject}\r\n\r\n${body}\r\n`

/** Puts a message into a mailbox here, as APPEND does. */
export async function put(mailbox: Mailbox, text: string, flags: readonly string[] = []): Promise<void> {
  await using delivery = mailbox.deliver()
  const sink = delivery.add({ internalDate: 1_700_000_000, flags })
  await sink.write(Buffer.from(text, 'latin1'))
  await sink.end()
  await delivery.commit()
}
