/** STORE, RFC 3501 §6.4.6: one commit for all messages. */
import type { Uid } from '../../base/ids.ts'
import { readStoreArgs } from '../../proto/imap/store.ts'
import type { Flag } from '../../store/types.ts'
import { command, selected } from '../command.ts'
import { Refusal } from '../replies.ts'
import { Slice } from '../slice.ts'

export const store = command({
  name: 'STORE',
  states: selected,
  uid: true,
  holdsNumbers: true,
  looks: 'always',
  parse: readStoreArgs,
  async run(session, { set, mode, silent, flags }, { uid }) {
    const { view } = session
    const mailbox = session.writable
    const uids: Uid[] = []
    let gone = false
    const slice = new Slice()
    for (const position of view.positions(set, uid)) {
      if (view.isGhostAt(position)) gone = true
      else uids.push(view.uidAt(position))
      if (slice.isOver()) await slice.next()
    }
    if (silent) view.assume(uids, (before) => effectOf(mode, flags, before))
    else view.oweFlags(uids)
    await mailbox.changeFlags({ uids, mode, flags })
    // RFC 2180 §4.2: a silent STORE succeeds when it did for those that are there.
    if (gone && !silent) throw new Refusal('NO', 'EXPUNGEISSUED', 'Some of the messages no longer exist')
    return undefined
  },
})

function effectOf(
  mode: 'set' | 'add' | 'remove',
  flags: readonly Flag[],
  before: ReadonlySet<Flag>,
): ReadonlySet<Flag> {
  switch (mode) {
    case 'set':
      return new Set(flags)
    case 'add':
      return new Set([...before, ...flags])
    case 'remove':
      return before.difference(new Set(flags))
  }
}
