/** The tree of an IMAP backend, and where each mailbox stands: one LIST where the server has LIST-STATUS (RFC 5819), else a STATUS for each. */
import { BackendError } from '../../backend/errors.ts'
import type { ImapFlow, ListResponse } from '../../backend/imap/control.ts'
import { classifyRefusal, printable } from '../../backend/reply-classifier.ts'
import type { PassMark } from './observe.ts'
import type { MailboxThere } from './tree.ts'

export interface ListedMailbox extends MailboxThere {
  /** Undefined where the server would not tell. */
  readonly status: PassMark | undefined
}

export interface Listing {
  readonly mailboxes: readonly ListedMailbox[]
  /** Before the names of the user's own mailboxes, with the delimiter. */
  readonly namespace: string
  /** Names in raw octets above 127, which have to be modified UTF-7 (RFC 3501 §5.1.3), of mailboxes that the server doesn't give under the encoded name. */
  readonly unreachable: readonly string[]
  /** Paths that are listed, have no mailbox below them, and are none when they are opened. */
  readonly gone: readonly string[]
}

export const statusQuery = { messages: true, uidNext: true, uidValidity: true, highestModseq: true } as const

/** Throws BackendError. */
export async function listThere(control: ImapFlow): Promise<Listing> {
  const listed = await control.list({ statusQuery }).catch((error: unknown) => {
    throw listingError(control, error)
  })
  const { namespaces } = control as unknown as { namespaces?: Namespaces }
  const others = [namespaces?.other, namespaces?.shared].flatMap((list) => (list || []).map(({ prefix }) => prefix))
  const isOfOthers = (path: string): boolean => others.some((prefix) => prefix !== '' && path.startsWith(prefix))
  const { levels, marks } = await openedAmong(control, listed)
  const unreachable = listed.filter(({ path, pathAsListed }) => levels.has(path) && /[^\x00-\x7f]/.test(pathAsListed))
  const mailboxes = listed.flatMap((mailbox): ListedMailbox[] => {
    const { path, delimiter, subscribed, specialUse } = mailbox
    if (!isMailbox(mailbox) || levels.has(path)) return []
    // What belongs to others, or to all, is not this user's to keep in step.
    if (isOfOthers(path)) return []
    return [
      {
        path,
        delimiter: delimiter || undefined,
        id: undefined,
        subscribed: subscribed === true && !isNoselect(mailbox),
        use: uses.has(specialUse ?? '') ? specialUse : undefined,
        status: statusOf(mailbox) ?? marks.get(path),
      },
    ]
  })
  const named = new Set(unreachable.map(({ path }) => path))
  const isAbove = ({ path, delimiter }: ListResponse): boolean =>
    listed.some((below) => !levels.has(below.path) && !!delimiter && below.path.startsWith(path + delimiter))
  const gone = listed.filter(
    (mailbox) => levels.has(mailbox.path) && !named.has(mailbox.path) && !isOfOthers(mailbox.path) && !isAbove(mailbox),
  )
  return {
    mailboxes,
    namespace: namespaces?.personal[0]?.prefix ?? '',
    unreachable: [...named],
    gone: gone.map(({ path }) => path),
  }
}

/** imapflow has `false` where STATUS was refused, and an object with an error where it was in another way. */
const statusOf = ({ status }: { readonly status?: unknown }): PassMark | undefined =>
  typeof status !== 'object' || status === null || 'error' in status ? undefined : markOf(status as Status)

/** RFC 6154 §2, RFC 8457. imapflow knows them by what the server says (SPECIAL-USE, XLIST), then by names in many languages, each use once. */
const uses: ReadonlySet<string> = new Set(
  ['All', 'Archive', 'Drafts', 'Flagged', 'Important', 'Junk', 'Sent', 'Trash'].map((use) => `\\${use}`),
)

const isNoselect = ({ flags }: ListResponse): boolean => flags.has('\\Noselect') || flags.has('\\NonExistent')

/**
 * imapflow adds the attributes of LSUB to those of LIST after it asked for the statuses of what LIST says are mailboxes. In LSUB, `\Noselect` is told of every mailbox that has one
 * below it that is subscribed to, and is not itself. RFC 3501 §6.3.9
 */
const isMailbox = (mailbox: ListResponse): boolean => !isNoselect(mailbox) || mailbox.status !== undefined

/**
 * Those that told no status, looked into: `levels` are names that are no mailboxes, only have some below them, or had; `marks` is where the others stand. Dovecot lists a
 * mailbox that was removed, and had others below it, as if it were there; it has no status, and can't be opened. With LIST-STATUS a server may leave a status out: RFC 5819 §2.
 */
async function openedAmong(
  control: ImapFlow,
  listed: readonly ListResponse[],
): Promise<{ readonly levels: ReadonlySet<string>; readonly marks: ReadonlyMap<string, PassMark> }> {
  const levels = new Set<string>()
  const marks = new Map<string, PassMark>()
  for (const mailbox of listed) {
    const { path } = mailbox
    if (!isMailbox(mailbox) || statusOf(mailbox) !== undefined) continue
    try {
      const { exists, uidNext, uidValidity, highestModseq } = await control.mailboxOpen(path, { readOnly: true })
      const mark = markOf({ messages: exists, uidNext, uidValidity, ...(highestModseq ? { highestModseq } : {}) })
      if (mark !== undefined) marks.set(path, mark)
    } catch (error) {
      if (!control.usable) throw listingError(control, error)
      const { responseText = '' } = error as { responseText?: string }
      if (classifyRefusal(responseText, 'transaction').kind === 'gone') levels.add(path)
    }
  }
  return { levels, marks }
}

/** Of one mailbox, as it is now; undefined where the server would not tell. */
export async function statusThere(control: ImapFlow, path: string): Promise<PassMark | undefined> {
  const status = await control.status(path, statusQuery).catch((error: unknown) => {
    if (!control.usable) throw listingError(control, error)
    return false as const
  })
  return status === false || status === undefined ? undefined : markOf(status as Status)
}

export const isSameMark = (a: PassMark | undefined, b: PassMark | undefined): boolean =>
  a !== undefined &&
  b !== undefined &&
  a.uidValidity === b.uidValidity &&
  a.uidNext === b.uidNext &&
  a.exists === b.exists &&
  a.modSeq === b.modSeq

interface Namespaces {
  readonly personal: readonly { readonly prefix: string }[]
  readonly other: readonly { readonly prefix: string }[] | false
  readonly shared: readonly { readonly prefix: string }[] | false
}

interface Status {
  readonly messages?: number
  readonly uidNext?: number
  readonly uidValidity?: bigint
  readonly highestModseq?: bigint
}

function markOf({ messages, uidNext, uidValidity, highestModseq }: Status): PassMark | undefined {
  if (messages === undefined || uidNext === undefined || uidValidity === undefined) return undefined
  // 0: the server keeps none for this mailbox. RFC 7162 §3.1.2.2
  const modSeq = highestModseq === undefined || highestModseq === 0n ? undefined : highestModseq.toString()
  return { uidValidity: Number(uidValidity), uidNext, exists: messages, modSeq }
}

function listingError(control: ImapFlow, error: unknown): BackendError {
  if (error instanceof BackendError) return error
  const { responseText } = error as { responseText?: string }
  return new BackendError(control.usable ? 'temporary' : 'closed', 'the backend would not list its mailboxes', {
    cause: error,
    ...(responseText === undefined ? {} : { serverText: printable(responseText) }),
  })
}
