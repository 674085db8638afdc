/** STORE, RFC 3501 §6.4.6: one commit for all messages. */
import type { Uid } from '../../base/ids.ts'
import { readStoreArgs } from '../../proto/imap/store.ts'
import type { Flag, FlagChange } from '../../store/types.ts'
import { systemFlags } from '../announce.ts'
import { command, selected } from '../command.ts'
import { Refusal } from '../replies.ts'
import { Slice } from '../slice.ts'
import type { View } from '../view.ts'

export const store = command({
  name: 'STORE',
  states: selected,
  uid: true,
  holdsNumbers: true,
  looks: 'always',
  parse: readStoreArgs,
  async run(session, { set, mode, silent, flags }, { uid }) {
    const { view } = session
    const mailbox = session.writable()
    const change = changeFor(view, mode, flags)
    const uids: Uid[] = []
    let gone = false
    const slice = new Slice()
    for (const position of view.positions(set, uid)) {
      if (view.isGhostAt(position)) gone = true
      else uids.push(view.uidAt(position))
      if (slice.isOver()) await slice.next()
    }
    if (silent) view.assume(uids, (before) => effectOf(change, before))
    else view.oweFlags(uids)
    await mailbox.changeFlags({ uids, ...change })
    // RFC 2180 §4.2: a silent STORE succeeds when it did for those that are there.
    if (gone && !silent) throw new Refusal('NO', 'EXPUNGEISSUED', 'Some of the messages no longer exist')
    return undefined
  },
})

type Change = Pick<FlagChange, 'mode'> & { readonly flags: readonly Flag[]; readonly without?: readonly Flag[] }

/**
 * What is done of what the client asks for. Who may change some flags only has those changed and is told of no failure: many clients don't take one well.
 * RFC 4314 §4. Throws Refusal when that is none of them.
 */
function changeFor(view: View, mode: Change['mode'], flags: readonly Flag[]): Change {
  if (view.lacks('s', 'w', 't').length === 0) return { mode, flags }
  const allowed = flags.filter((flag) => view.mayChange(flag))
  if (allowed.length === 0 && (flags.length > 0 || view.lacks('s', 'w', 't').length === 3))
    throw new Refusal('NO', 'NOPERM', 'Not permitted: needs the right s, w or t here, whichever the flags take')
  if (mode !== 'set') return { mode, flags: allowed }
  const kept = new Set(flags)
  const others = [...systemFlags, ...view.mailbox.keywords].filter((flag) => view.mayChange(flag) && !kept.has(flag))
  return { mode: 'add', flags: allowed, without: others }
}

function effectOf({ mode, flags, without = [] }: Change, before: ReadonlySet<Flag>): ReadonlySet<Flag> {
  switch (mode) {
    case 'set':
      return new Set(flags)
    case 'add':
      return new Set([...before.difference(new Set(without)), ...flags])
    case 'remove':
      return before.difference(new Set(flags))
  }
}
