/** EXPUNGE, RFC 3501 §6.4.3, and UID EXPUNGE, RFC 4315 §2.1; RFC 7162 §3.2.7, §3.2.9 */
import type { Uid } from '../../base/ids.ts'
import { readUidExpungeArgs } from '../../proto/imap/expunge.ts'
import { readNoArgs } from '../../proto/imap/no-args.ts'
import { indexesOf, resolveUids, type SequenceSet, savedResult, star } from '../../proto/imap/sequence-set.ts'
import type { Mailbox } from '../../store/types.ts'
import { highestModSeqCode } from '../announce.ts'
import { command, selected } from '../command.ts'
import { Slice } from '../slice.ts'

export const expunge = command({
  name: 'EXPUNGE',
  states: selected,
  uid: true,
  expunges: true,
  looks: 'always',
  capabilities: () => ['UIDPLUS'],
  parse(args, { uid }) {
    if (uid) return readUidExpungeArgs(args).set
    readNoArgs(args)
    return undefined
  },
  async run(session, set, { uid }) {
    const mailbox = session.writable('e')
    const uids = await deletedUids(mailbox, set === savedResult ? session.view.saved : set)
    const expunged = await mailbox.expunge(uids, 'client')
    if (expunged.length === 0 || !session.enabled.has('QRESYNC')) return undefined
    // The code speaks of what was told before it.
    await session.announce(true, uid, true)
    return { code: highestModSeqCode(session.view) }
  },
})

/** What is marked \Deleted, of all messages or those that `set` names, ascending. */
export async function deletedUids({ messages }: Mailbox, set: SequenceSet = everything): Promise<readonly Uid[]> {
  const uids: Uid[] = []
  const slice = new Slice()
  // Resolved among all messages: `*` is the last one, marked or not.
  for (const index of indexesOf(resolveUids(set, messages.length, (at) => messages.uidAt(at)))) {
    if (messages.flagsAt(index).has('\\Deleted')) uids.push(messages.uidAt(index))
    if (slice.isOver()) await slice.next()
  }
  return uids
}

const everything: SequenceSet = [{ first: 1, last: star }]
