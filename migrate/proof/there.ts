/** What an old server has, as a client sees it: mailbox by mailbox, messages in columns. */
import type { BackendError } from '#gateway/backend/errors.ts'
import type { BodySink } from '#gateway/backend/types.ts'
import type { MailboxId } from '#src/base/ids.ts'
import type { Flag } from '#src/store/types.ts'

/** In the server's order; positions from 0. */
export interface MessagesThere {
  readonly length: number
  /** The source id: the origin that the gateway gives the message. */
  originAt(position: number): string
  uidAt(position: number): number | undefined
  /** As the server gives it, octets in latin1. */
  uidlAt(position: number): string | undefined
  /** Octets, as announced. */
  sizeAt(position: number): number | undefined
  /** INTERNALDATE, seconds since 1970. */
  dateAt(position: number): number | undefined
  /** Sorted, without \Recent. */
  flagsAt(position: number): readonly Flag[] | undefined
}

export interface MailboxThere {
  readonly path: string
  /** Undefined where nobody subscribes. */
  readonly subscribed: boolean | undefined
  readonly uidValidity: number | undefined
  readonly uidNext: number | undefined
  /** As the server counts. */
  readonly listed: number
  readonly messages: MessagesThere
  /** Its like here, as the last pass left it; undefined: it is not pulled. */
  readonly idHere: MailboxId | undefined
  /** Whether the last pass asked for the message in vain. */
  isPending(position: number): boolean
  /** From this position on messages came behind the last pass, as far as that can be told. */
  readonly sinceLastPass: number
  /** Octets of messages, streamed; `positions` ascending. Throws BackendError when the session is lost. */
  bodies(
    positions: readonly number[],
    open: (position: number) => BodySink,
    refused: (position: number, error: BackendError) => void,
  ): Promise<void>
}

/** Of one backend of one user. Mailboxes are valid until the next one is asked for. Throws BackendError. */
export interface There {
  /** Beginning of the source ids. */
  readonly url: string
  mailboxes(): AsyncIterable<MailboxThere>
  /** Mailboxes that it lists and does not open; nothing of them is here. */
  readonly leftOut: readonly string[]
  /** Of all mailboxes together, as far as that is known at once. */
  readonly expected: number
}
