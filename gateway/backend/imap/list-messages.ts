/** What a mailbox there holds, told as it is read: a line for each message and nothing of what is in it. RFC 9051 §6.4.5 */
import { BackendError } from '../errors.ts'
import { printable } from '../reply-classifier.ts'
import { type MessageFacts, messageIn } from './bulk.ts'
import type { ImapConnection } from './connection.ts'

export interface ListedMessage extends MessageFacts {
  /** RFC822.SIZE; undefined when the server told none. */
  readonly sizeOctets: number | undefined
}

/** Of the selected mailbox, from this UID on; `told` must not throw. Throws BackendError. */
export async function listMessages(
  connection: ImapConnection,
  from: number,
  told: (message: ListedMessage) => void,
): Promise<void> {
  const status = await connection.run({
    words: [`UID FETCH ${from}:* (UID FLAGS INTERNALDATE RFC822.SIZE)`],
    untagged: (parts) => {
      const message = messageIn(parts)
      // Where there is none so high, `*` is the last one. RFC 9051 §9 seq-range
      if (message === undefined || message.facts.uid < from) return
      const size = message.values.get('RFC822.SIZE')
      const sizeOctets = typeof size === 'string' && /^[0-9]{1,15}$/.test(size) ? Number(size) : undefined
      told({ ...message.facts, sizeOctets })
    },
  })
  if (status.condition !== 'OK')
    throw new BackendError('temporary', 'the backend would not list its messages', {
      serverText: printable(status.text),
    })
}
