/** The same conversation that a client begins with: LIST, then EXAMINE and what there is of each message. Nothing is changed there. RFC 9051 §6.3.3 */
import { BackendError } from '#gateway/backend/errors.ts'
import { fetchBodies } from '#gateway/backend/imap/bulk.ts'
import type { ImapFlow } from '#gateway/backend/imap/control.ts'
import { examine } from '#gateway/backend/imap/examine.ts'
import type { ImapSession } from '#gateway/backend/imap/session.ts'
import { printable } from '#gateway/backend/reply-classifier.ts'
import { listThere } from '#gateway/sync/imap/list.ts'
import { BackendMemory } from '#gateway/sync/imap/memory.ts'
import { originOf } from '#gateway/sync/imap/origin.ts'
import type { Uid } from '#src/base/ids.ts'
import type { Account, Flag } from '#src/store/types.ts'
import type { MailboxThere, MessagesThere, There } from './there.ts'

const setSize = 200

export const imapThere = async (url: string, session: ImapSession, account: Account): Promise<There> => {
  const memory = new BackendMemory(account, url)
  const ids = new Map((await memory.tree()).pairs.map(({ path, idHere }) => [path, idHere] as const))
  const { mailboxes, unreachable, gone } = await listThere(session.control)
  const isOpen = ({ path, status }: (typeof mailboxes)[number]) => status !== undefined || ids.has(path)
  const closed = mailboxes.flatMap((mailbox) => (isOpen(mailbox) ? [] : [mailbox.path]))
  // An order that does not hang on the server's.
  const paths = mailboxes
    .filter(isOpen)
    .map(({ path }) => path)
    .sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
  const subscribed = new Set(mailboxes.filter((mailbox) => mailbox.subscribed).map(({ path }) => path))
  return {
    url,
    leftOut: [...unreachable, ...gone, ...closed].map((path) => path.toWellFormed()),
    expected: mailboxes.reduce((sum, { status }) => sum + (status?.exists ?? 0), 0),
    async *mailboxes() {
      for (const path of paths) {
        const { uidValidity, uidNext, columns } = await readMailbox(session.control, path)
        const idHere = ids.get(path)
        const mark = idHere === undefined ? undefined : await memory.mark(idHere)
        const isSame = mark?.there?.uidValidity === uidValidity
        const pending = new Set<number>(isSame ? mark.pending : [])
        const seen = isSame ? mark.there!.uidNext : 0
        const { uids } = columns
        const first = uids.findIndex((uid) => uid >= seen)
        const messages = new Columns(url, uidValidity, columns)
        yield {
          path,
          subscribed: subscribed.has(path),
          uidValidity,
          uidNext,
          listed: uids.length,
          messages,
          idHere,
          isPending: (position) => pending.has(uids[position]!),
          sinceLastPass: mark === undefined || first < 0 ? uids.length : first,
          async bodies(positions, open, refused) {
            const connection = await session.bulk()
            if ((await examine(connection, path)) !== uidValidity)
              throw new BackendError('temporary', 'a mailbox at the backend was replaced meanwhile')
            const at = new Map(positions.map((position) => [uids[position]!, position] as const))
            await fetchBodies(connection, {
              uids: positions.map((position) => uids[position] as Uid),
              setSize,
              open: ({ uid }) => open(at.get(uid)!),
              refused: (uid, error) => refused(at.get(uid)!, error),
            })
          },
        } satisfies MailboxThere
      }
    },
  }
}

interface Rows {
  readonly uids: number[]
  readonly sizes: (number | undefined)[]
  readonly dates: (number | undefined)[]
  /** Equal ones are the same. */
  readonly flags: (readonly Flag[])[]
}

/** By EXAMINE. Throws BackendError. */
export const readMailbox = async (control: ImapFlow, path: string) => {
  try {
    const mailbox = await control.mailboxOpen(path, { readOnly: true })
    const rows: Rows = { uids: [], sizes: [], dates: [], flags: [] }
    const shared = new Map<string, readonly Flag[]>()
    const wanted = { uid: true, flags: true, internalDate: true, size: true }
    if (mailbox.exists > 0)
      for await (const { uid, flags, internalDate, size } of control.fetch('1:*', wanted, { uid: true })) {
        if ((uid as number | undefined) === undefined) continue
        const own = [...(flags ?? [])].filter((flag) => flag.toLowerCase() !== '\\recent').sort()
        const key = own.join(' ')
        if (!shared.has(key)) shared.set(key, own)
        rows.uids.push(uid)
        rows.sizes.push(size)
        rows.dates.push(secondsOf(internalDate))
        rows.flags.push(shared.get(key)!)
      }
    const columns = ascending(rows)
    // Mail that arrives meanwhile makes it more; less means that the server left something out.
    if (columns.uids.length < mailbox.exists)
      throw new BackendError('temporary', `the backend told ${columns.uids.length} of ${mailbox.exists} messages`)
    return {
      uidValidity: Number(mailbox.uidValidity),
      uidNext: mailbox.uidNext as number | undefined,
      columns,
    }
  } catch (error) {
    if (error instanceof BackendError) throw error
    const { responseText } = error as { responseText?: string }
    throw new BackendError(control.usable ? 'temporary' : 'closed', 'the backend would not show a mailbox', {
      cause: error,
      ...(responseText === undefined ? {} : { serverText: printable(responseText) }),
    })
  }
}

const secondsOf = (date: Date | string | undefined): number | undefined => {
  const ms = date === undefined ? Number.NaN : new Date(date).getTime()
  return Number.isNaN(ms) ? undefined : Math.floor(ms / 1_000)
}

/** A server may tell them in any order. RFC 9051 §7.5.2 */
const ascending = (rows: Rows): Rows => {
  const { uids } = rows
  if (uids.every((uid, at) => at === 0 || uids[at - 1]! < uid)) return rows
  const order = uids.map((_, at) => at).sort((a, b) => uids[a]! - uids[b]!)
  const first = order.filter((at, index) => index === 0 || uids[order[index - 1]!] !== uids[at])
  return {
    uids: first.map((at) => uids[at]!),
    sizes: first.map((at) => rows.sizes[at]),
    dates: first.map((at) => rows.dates[at]),
    flags: first.map((at) => rows.flags[at]!),
  }
}

class Columns implements MessagesThere {
  readonly #url: string
  readonly #uidValidity: number
  readonly #rows: Rows

  constructor(url: string, uidValidity: number, rows: Rows) {
    this.#url = url
    this.#uidValidity = uidValidity
    this.#rows = rows
  }

  get length(): number {
    return this.#rows.uids.length
  }
  originAt(position: number): string {
    return originOf(this.#url, this.#uidValidity, this.uidAt(position) as Uid)
  }
  uidAt(position: number): number {
    return this.#rows.uids[position]!
  }
  uidlAt(): undefined {
    return undefined
  }
  sizeAt(position: number): number | undefined {
    return this.#rows.sizes[position]
  }
  dateAt(position: number): number | undefined {
    return this.#rows.dates[position]
  }
  flagsAt(position: number): readonly Flag[] {
    return this.#rows.flags[position]!
  }
}
