/** What a certificate says of one message: what the old server tells a client of it, and what a client is told here. */
import type { Difference, Entry } from '#src/certificate/format.ts'
import type { Flag } from '#src/store/types.ts'
import type { Standing } from './here.ts'
import type { MailboxThere } from './there.ts'

export const entryOf = (there: MailboxThere, position: number, standing: Standing): Entry => {
  const { messages } = there
  const [uidThere, uidlThere, sizeThere] = [
    messages.uidAt(position),
    messages.uidlAt(position),
    messages.sizeAt(position),
  ]
  const [dateThere, flagsThere] = [messages.dateAt(position), messages.flagsAt(position)]
  const of = {
    id: messages.originAt(position),
    from: there.path.toWellFormed(),
    ...(uidThere === undefined ? {} : { uidThere }),
    ...(uidlThere === undefined ? {} : { uidlThere }),
    ...(sizeThere === undefined ? {} : { sizeThere }),
    ...(dateThere === undefined ? {} : { dateThere }),
    ...(flagsThere === undefined ? {} : { flagsThere }),
  }
  if ('exception' in standing) return { ...of, ...standing }
  const { mailbox, record } = standing
  const differs = differencesOf(there, position, standing)
  return {
    ...of,
    mailbox: mailbox.name,
    uid: record.uid,
    octets: record.sizeOctets,
    digest: Buffer.from(record.digest, 'base64url').toString('hex'),
    ...(differs.length === 0 ? {} : { differs }),
  }
}

type Present = Exclude<Standing, { readonly exception: unknown }>

export const differencesOf = (
  there: MailboxThere,
  position: number,
  { mailbox, record, uidl, original }: Present,
): readonly Difference[] => {
  const { messages } = there
  const differs: Difference[] = []
  const uid = messages.uidAt(position)
  if (uid !== undefined && (uid !== record.uid || mailbox.id !== there.idHere)) differs.push('uid')
  const uidlThere = messages.uidlAt(position)
  if (uidlThere !== undefined && uidlThere !== uidl) differs.push('uidl')
  const flags = messages.flagsAt(position)
  if (flags !== undefined && !areSame(flags, record.flags)) differs.push('flags')
  const date = messages.dateAt(position)
  if (date !== undefined && date !== record.internalDate) differs.push('date')
  const size = messages.sizeAt(position)
  if (original !== undefined) differs.push('converted')
  else if (size !== undefined && size !== record.sizeOctets) differs.push('size')
  return differs
}

/** Flags are compared without case. RFC 9051 §2.3.2 */
const areSame = (there: readonly Flag[], here: ReadonlySet<Flag>): boolean =>
  there.length === here.size && (there.every((flag) => here.has(flag)) || fold(there) === fold(here))

const fold = (flags: Iterable<Flag>): string =>
  [...flags]
    .map((flag) => flag.toLowerCase())
    .sort()
    .join(' ')
