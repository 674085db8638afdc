/** EXPUNGE, RFC 3501 §6.4.3, and UID EXPUNGE, RFC 4315 §2.1 */
import type { Uid } from '../../base/ids.ts'
import { readUidExpungeArgs } from '../../proto/imap/expunge.ts'
import { readNoArgs } from '../../proto/imap/no-args.ts'
import { indexesOf, resolveUids } from '../../proto/imap/sequence-set.ts'
import type { Mailbox } from '../../store/types.ts'
import { command, selected } from '../command.ts'

export const expunge = command({
  name: 'EXPUNGE',
  states: selected,
  uid: true,
  looks: 'always',
  capabilities: () => ['UIDPLUS'],
  parse(args, { uid }) {
    if (uid) return readUidExpungeArgs(args).set
    readNoArgs(args)
    return undefined
  },
  async run(session, set) {
    const mailbox = session.writable
    const deleted = deletedUids(mailbox)
    let uids = deleted
    if (set !== undefined) {
      // Resolved among all messages: `*` is the last one, marked or not.
      const { messages } = mailbox
      const runs = resolveUids(set, messages.length, (index) => messages.uidAt(index))
      const named = new Set(Array.from(indexesOf(runs), (index) => messages.uidAt(index)))
      uids = deleted.filter((uid) => named.has(uid))
    }
    await mailbox.expunge(uids, 'client')
    return undefined
  },
})

/** What is marked \Deleted, ascending. */
export const deletedUids = (mailbox: Mailbox): readonly Uid[] =>
  [...mailbox.messages].filter(({ flags }) => flags.has('\\Deleted')).map(({ uid }) => uid)
