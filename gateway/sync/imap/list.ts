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
}

export const statusQuery = { messages: true, uidNext: true, uidValidity: true, highestModseq: true } as const

/** Throws BackendError. */
export async function listThere(control: ImapFlow): Promise<Listing> {
  const listed = await control.list({ statusQuery }).catch((error: unknown) => {
    throw listingError(control, error)
  })
  const { namespaces } = control as unknown as { namespaces?: Namespaces }
  const others = [namespaces?.other, namespaces?.shared].flatMap((list) => (list || []).map(({ prefix }) => prefix))
  const levels = await levelsAmong(control, listed)
  const unreachable = listed.filter(({ path, pathAsListed }) => levels.has(path) && /[^\x00-\x7f]/.test(pathAsListed))
  const mailboxes = listed.flatMap((mailbox): ListedMailbox[] => {
    const { path, delimiter, subscribed, status, specialUse } = mailbox
    if (!isMailbox(mailbox) || levels.has(path)) return []
    // What belongs to others, or to all, is not this user's to keep in step.
    if (others.some((prefix) => prefix !== '' && path.startsWith(prefix))) return []
    return [
      {
        path,
        delimiter: delimiter || undefined,
        id: undefined,
        subscribed: subscribed === true && !isNoselect(mailbox),
        use: uses.has(specialUse ?? '') ? specialUse : undefined,
        status: status === undefined || 'error' in status ? undefined : markOf(status as Status),
      },
    ]
  })
  return {
    mailboxes,
    namespace: namespaces?.personal[0]?.prefix ?? '',
    unreachable: unreachable.map(({ path }) => path),
  }
}

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
 * Names that are no mailboxes, only have some below them. Dovecot lists a mailbox that was removed, and had others below it, as if it were there;
 * it has no status, and can't be opened.
 */
async function levelsAmong(control: ImapFlow, listed: readonly ListResponse[]): Promise<ReadonlySet<string>> {
  const levels = new Set<string>()
  for (const mailbox of listed) {
    const { path, status } = mailbox
    if (!isMailbox(mailbox) || status?.uidValidity !== undefined) continue
    await control.mailboxOpen(path, { readOnly: true }).catch((error: unknown) => {
      if (!control.usable) throw listingError(control, error)
      const { responseText = '' } = error as { responseText?: string }
      if (classifyRefusal(responseText, 'transaction').kind === 'gone') levels.add(path)
    })
  }
  return levels
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
