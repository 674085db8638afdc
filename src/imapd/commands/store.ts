/** STORE, RFC 3501 §6.4.6, and conditional STORE, RFC 7162 §3.1.3: one commit for all messages. */
import type { ModSeq, Uid } from '../../base/ids.ts'
import { formatNumbers } from '../../proto/imap/sequence-set.ts'
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
  async run(session, { set, mode, silent, flags, unchangedSince }, { uid }) {
    if (unchangedSince !== undefined) session.enable('CONDSTORE')
    const { view } = session
    const mailbox = session.writable()
    const change = changeFor(view, mode, flags)
    const positions: number[] = []
    const uids: Uid[] = []
    let gone = false
    const slice = new Slice()
    for (const position of view.positions(set, uid)) {
      if (view.isGhostAt(position)) gone = true
      else {
        if (unchangedSince !== undefined) positions.push(position)
        uids.push(view.uidAt(position))
      }
      if (slice.isOver()) await slice.next()
    }
    const modified =
      unchangedSince === undefined ? none : await changeUnchanged(view, positions, change, unchangedSince as ModSeq)
    const changed = modified.size === 0 ? uids : uids.filter((each) => !modified.has(each))
    if (silent) {
      view.assume(changed, (before) => effectOf(change, before))
      if (unchangedSince !== undefined) view.oweModSeqs(changed)
      view.oweFlags([...modified])
    } else view.oweFlags(uids)
    if (unchangedSince === undefined) await mailbox.changeFlags({ uids, ...change })
    const code =
      modified.size === 0
        ? undefined
        : `MODIFIED ${formatNumbers(uid ? modified : positions.filter((_, at) => modified.has(uids[at]!)).map((at) => at + 1))}`
    // RFC 2180 §4.2: a silent STORE succeeds when it did for those that are there.
    if (gone && !silent) throw new Refusal('NO', code ?? 'EXPUNGEISSUED', 'Some of the messages no longer exist')
    return code === undefined ? undefined : { code, text: 'Some of the messages were changed by others' }
  },
})

const none: ReadonlySet<Uid> = new Set()

/**
 * Changes those that nobody changed after `unchangedSince`, in what it is about: where flags are added or removed, others may have changed. RFC 7162 §3.1.12.
 * Answers the others, ascending.
 */
async function changeUnchanged(
  view: View,
  positions: readonly number[],
  change: Change,
  unchangedSince: ModSeq,
): Promise<ReadonlySet<Uid>> {
  const { mailbox, modSeq } = view
  const { flags, without = [] } = change
  const isElsewhere = (position: number) =>
    change.mode !== 'set' &&
    view.modSeqAt(position) > unchangedSince &&
    view.isUnchangedBut(position, unchangedSince, [...flags, ...without])
  const slice = new Slice()
  const groups: Record<'plain' | 'elsewhere', Uid[]> = { plain: [], elsewhere: [] }
  for (const position of positions) {
    groups[isElsewhere(position) ? 'elsewhere' : 'plain'].push(view.uidAt(position))
    if (slice.isOver()) await slice.next()
  }
  const { modified } = await mailbox.changeFlags({ uids: groups.plain, ...change, unchangedSince })
  if (groups.elsewhere.length === 0) return new Set(modified)
  const again = await mailbox.changeFlags({ uids: groups.elsewhere, ...change, unchangedSince: modSeq })
  return new Set([...modified, ...again.modified].sort((a, b) => a - b))
}

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
