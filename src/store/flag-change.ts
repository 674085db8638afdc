/** Plans of flag changes: which messages they concern, chunk by chunk, since a change is often about all of a mailbox. RFC 7162 §3.1.3 */

import type { Uid } from '../base/ids.ts'
import type { Operation } from './change-set.ts'
import type { StoredMessages } from './message-list.ts'
import { inPieces, operations } from './operations.ts'
import type { Flag, FlagChange } from './types.ts'

/** The changes of one commit, planned one after another against one state. */
export class FlagPlans {
  /** UIDs whose flags the plans so far change. */
  private readonly touched: (readonly Uid[])[] = []

  /** A new commit is planned. */
  clear(): void {
    this.touched.length = 0
  }

  /** `uids` ascend, `flags` are canonical. `modified` is told the UIDs that `unchangedSince` leaves alone. */
  plan(
    messages: StoredMessages,
    uids: readonly Uid[],
    { mode, unchangedSince }: Pick<FlagChange, 'mode' | 'unchangedSince'>,
    flags: readonly Flag[],
    modified: Uid[],
  ): Iterable<Operation | undefined> {
    const isConditional = unchangedSince !== undefined
    const since: number = unchangedSince ?? Number.POSITIVE_INFINITY
    const touched = new Set(this.touched.flat())
    /** By the number of the set: found once, not for every message, and not for the sets of others. */
    const differs: boolean[] = []
    const isDifferent = (number: number): boolean => {
      differs[number] ??= makesDifference(messages.sets[number]!, mode, flags)
      return differs[number]
    }
    return inPieces(uids, (piece) => {
      const wanted: Uid[] = []
      for (let at = 0; at < piece.length; ) {
        const chunk = messages.chunks[messages.chunkOf(piece[at]!)]
        if (chunk === undefined) break
        const { uids: present, flags: numbers, modSeqs, count } = chunk.columns
        const { lastUid } = chunk
        for (let row = 0; at < piece.length; at += 1) {
          const uid = piece[at]!
          if (uid > lastUid) break
          // Neighbours mostly.
          while (present[row]! < uid) row = row + 1 < count && present[row + 1]! >= uid ? row + 1 : chunk.rowOf(uid)
          if (present[row] !== uid) continue
          const isTouched = touched.size > 0 && touched.has(uid)
          if ((isTouched && isConditional) || modSeqs[row]! > since) modified.push(uid)
          else if (isTouched || isDifferent(numbers[row]!)) wanted.push(uid)
        }
      }
      this.touched.push(wanted)
      return wanted.length === 0 ? undefined : operations.flags(mode, flags, wanted)
    })
  }
}

function makesDifference(from: ReadonlySet<Flag>, mode: FlagChange['mode'], flags: readonly Flag[]): boolean {
  if (mode === 'remove') return flags.some((flag) => from.has(flag))
  return flags.some((flag) => !from.has(flag)) || (mode === 'set' && from.size !== flags.length)
}
