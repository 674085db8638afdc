/** For tests of a mailbox's state without a log or files around it. */

import { createHash } from 'node:crypto'
import { systemClock } from '#src/base/clock.ts'
import type { Uid } from '#src/base/ids.ts'
import type { Operation } from '#src/store/change-set.ts'
import { MailboxState, type Outcome } from '#src/store/mailbox-state.ts'
import { messageFileName } from '#src/store/message-file.ts'
import type { Addition } from '#src/store/operations.ts'

export const freshState = () => MailboxState.empty(systemClock, 7)

/** Applies one entry, without a turn for others. */
export function applyEntry(state: MailboxState, number: number, operations: Iterable<Operation>): Outcome[] {
  const outcomes: Outcome[] = []
  for (const operation of operations) {
    const steps = state.apply(operation, number)
    let step = steps.next()
    while (step.done !== true) step = steps.next()
    outcomes.push(step.value)
  }
  state.applied(number)
  return outcomes
}

/** The octets of an image in one piece, as it would lie in memory after reading. */
export function imageOctets(state: MailboxState): Buffer {
  const pieces = [...state.image()]
  const octets = Buffer.from(new ArrayBuffer(pieces.reduce((sum, piece) => sum + piece.length, 0)))
  let at = 0
  for (const piece of pieces) {
    octets.set(piece, at)
    at += piece.length
  }
  return octets
}

export async function reloaded(state: MailboxState): Promise<MailboxState> {
  const other = new MailboxState(systemClock)
  await other.load(imageOctets(state))
  return other
}

/** A message as deliveries name it. `unique` begins as names of one process do. */
export function addition(uid: number, more: Partial<Addition> = {}): Addition {
  const digest = createHash('sha256').update(`${uid}`).digest('base64url')
  const file = messageFileName({
    internalDate: 1_600_000_000 + uid,
    sizeOctets: 1000 + uid,
    origin: more.origin,
    unique: `abcdefghijklmnop${uid.toString(36)}`,
    digest,
  })
  return { file, flags: [], origin: undefined, uidl: undefined, uid: uid as Uid, ...more }
}
