/** What two sides have, to be compared. */
import type { ImapFlow } from 'imapflow'
import type { Account, Mailbox } from '#src/store/types.ts'
import { octetsOf } from '../support.ts'

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
export async function treeHere({ account }: { readonly account: Account }): Promise<Record<string, readonly Seen[]>> {
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

export async function treeThere({ other }: { readonly other: ImapFlow }): Promise<Record<string, readonly Seen[]>> {
  const tree: Record<string, readonly Seen[]> = {}
  for (const { path, flags } of await other.list()) {
    if (flags.has('\\Noselect') || flags.has('\\NonExistent')) continue
    // Dovecot lists one that was removed while it has others below it.
    const mailbox = await other.mailboxOpen(path).catch((error: { responseText?: string }) => {
      if (!error.responseText?.includes("doesn't exist")) throw error
    })
    if (mailbox === undefined) continue
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
