/**
 * COPY, RFC 3501 §6.4.7, and MOVE, RFC 6851, with COPYUID of UIDPLUS: one commit for all messages, or none. A move within an account adds nothing to it,
 * so it works over quota too.
 */
import type { Uid } from '../../base/ids.ts'
import { formatCopyUid, readCopyArgs } from '../../proto/imap/copy.ts'
import type { MessageSet } from '../../proto/imap/sequence-set.ts'
import type { Flag, Mailbox } from '../../store/types.ts'
import { highestModSeqCode } from '../announce.ts'
import { command, selected } from '../command.ts'
import { keptAlive } from '../keep-alive.ts'
import { Refusal } from '../replies.ts'
import type { Session } from '../session.ts'
import { Slice } from '../slice.ts'
import { openTarget, type Target } from '../target.ts'

export const copy = command({
  name: 'COPY',
  states: selected,
  uid: true,
  looks: 'always',
  parse: readCopyArgs,
  async run(session, { set, mailbox }, { uid }) {
    const uids = await livingUids(session, set, uid)
    if (uids.length === 0) return undefined
    const target = await openTarget(session, mailbox)
    await using opened = target.mailbox
    const keepsFlag = keptBy(target)
    const { mailbox: source } = session.view
    const addition = { octets: await octetsOf(source, uids), messages: uids.length }
    const copied = target.adding(addition, () => source.copyTo(uids, opened, { keepsFlag }))
    const result = await accompanied(session, copied)
    target.put(result.pairs.map(([, uid]) => uid))
    return result.pairs.length === 0 ? undefined : { code: formatCopyUid(result.uidValidity, result.pairs) }
  },
})

export const move = command({
  name: 'MOVE',
  states: selected,
  uid: true,
  expunges: true,
  looks: 'always',
  capabilities: () => ['MOVE'],
  parse: readCopyArgs,
  async run(session, { set, mailbox }, { uid }) {
    // RFC 6851 §4.2
    const source = session.writable('t', 'e')
    const uids = await livingUids(session, set, uid)
    if (uids.length === 0) return undefined
    const target = await openTarget(session, mailbox)
    await using opened = target.mailbox
    const keepsFlag = keptBy(target)
    const move = () => source.moveTo(uids, opened, { keepsFlag })
    const moved = session.isOf(target.account)
      ? move()
      : target.adding({ octets: await octetsOf(source, uids), messages: uids.length }, move)
    const result = await accompanied(session, moved)
    target.put(result.pairs.map(([, uid]) => uid))
    // Before the EXPUNGE responses, so that the client knows where the messages went. RFC 6851 §4.3
    if (result.pairs.length === 0) return undefined
    session.untagged('OK', 'Moved', formatCopyUid(result.uidValidity, result.pairs))
    if (!session.enabled.has('CONDSTORE')) return undefined
    await session.announce(true, uid, true)
    // RFC 6851 §4.4
    return { code: highestModSeqCode(session.view) }
  },
})

/** Whoever may not set keywords there keeps this one all the same, so that nobody sends a receipt twice. RFC 3503 §4.3 */
const keptBy =
  ({ keepsFlag }: Target) =>
  (flag: Flag) =>
    flag.toLowerCase() === '$mdnsent' || keepsFlag(flag)

/**
 * UIDs of the set. Throws when a sequence number is that of a message which is gone without the client's knowing: all or nothing. RFC 2180
 * §4.4; a UID of such a message is passed over. RFC 3501 §6.4.8
 */
export async function livingUids(session: Session, set: MessageSet, uid: boolean): Promise<readonly Uid[]> {
  const { view } = session
  const uids: Uid[] = []
  const slice = new Slice()
  for (const position of view.positions(set, uid)) {
    if (view.isGhostAt(position)) throw new Refusal('NO', 'EXPUNGEISSUED', 'Some of the messages no longer exist')
    uids.push(view.uidAt(position))
    if (slice.isOver()) await slice.next()
  }
  return uids
}

/** Of those that are there. */
async function octetsOf({ messages }: Mailbox, uids: readonly Uid[]): Promise<number> {
  let octets = 0
  const slice = new Slice()
  for (const uid of uids) {
    octets += messages.byUid(uid)?.sizeOctets ?? 0
    if (slice.isOver()) await slice.next()
  }
  return octets
}

/** IMAP-06 */
const accompanied = <T>(session: Session, work: Promise<T>): Promise<T> =>
  keptAlive(session, session.services.settings().keepaliveMs, () => 'Still copying', work)
