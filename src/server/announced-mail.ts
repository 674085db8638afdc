/** Octets of announced messages, from ms_syncd, which pulls them from the old server. docs/decisions/0025-announced-first.md */
import type { EventBus } from '../events/types.ts'
import type { Bring } from '../store/types.ts'

/** What ms_syncd is asked. It answers a BringAnswer when they are in the store, or don't come now. */
export type BringRequest = {
  readonly type: 'bring'
  readonly userId: string
  readonly mailboxId: string
  readonly mailbox: string
  /** Here. */
  readonly uids: readonly number[]
}
/** `reason` is for whoever runs the server. */
export type BringAnswer = { readonly ok: true } | { readonly ok: false; readonly reason: string }

/** Of one request: what is behind it waits. */
export const uidsAtOnce = 500
/** A client waits, and a large message takes its time. */
const timeoutMs = 60_000

/** Rejects with the reason. */
export const bringFromMsSyncd =
  (events: Pick<EventBus, 'ask'>): Bring =>
  async ({ userId, mailboxId, mailbox, uids }) => {
    for (let at = 0; at < uids.length; at += uidsAtOnce) {
      const request: BringRequest = { type: 'bring', userId, mailboxId, mailbox, uids: uids.slice(at, at + uidsAtOnce) }
      const answer = (await events.ask('ms_sync', request, { timeoutMs })) as BringAnswer
      if (!answer.ok) throw new Error(answer.reason)
    }
  }
