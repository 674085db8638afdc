/**
 * Changes of annotations, told to the sessions that enabled METADATA: those of this process, and by the event channel those of others. What is told says what
 * changed and never the value. RFC 5464 §4.1, §4.4.2
 */

import type { UserId } from '../base/ids.ts'
import type { EventBus, MailEvent } from '../events/types.ts'
import type { Annotations } from './annotations.ts'
import type { Session } from './session.ts'

const kind = 'metadata:'

export interface MetadataChange {
  /** Account of the mailbox, or name of its tree; undefined for the server. */
  readonly tree: string | undefined
  /** As the account calls it; empty for the server. */
  readonly mailbox: string
  readonly entry: string
  /** Who made it. */
  readonly user: UserId
}

/** `from`: the session that made it, when it is one of this process. */
type Listener = (change: MetadataChange, from: Session | undefined) => void

/** One for each process. */
export class MetadataChanges {
  readonly #events: EventBus
  readonly #listeners = new Set<Listener>()

  constructor(events: EventBus) {
    this.#events = events
  }

  tell(session: Session, mailbox: Annotations['mailbox'], entries: readonly string[]): void {
    const [tree, name] = [mailbox?.account.userId, mailbox?.local ?? '']
    for (const entry of entries) {
      for (const listener of this.#listeners) listener({ tree, mailbox: name, entry, user: session.userId }, session)
      const fields = { mailbox: name, entry, user: session.userId }
      this.#events.publish({ topic: kind + (tree ?? ''), name: 'metadata', fields })
    }
  }

  /** Until the answer is called. */
  listen(listener: Listener): () => void {
    this.#listeners.add(listener)
    const stop = this.#events.subscribe([kind], (event) => listener(changeIn(event), undefined))
    return () => {
      this.#listeners.delete(listener)
      stop()
    }
  }
}

function changeIn({ topic, fields }: MailEvent): MetadataChange {
  const tree = topic.slice(kind.length)
  const text = (name: string) => String(fields[name] ?? '')
  return { tree: tree || undefined, mailbox: text('mailbox'), entry: text('entry'), user: text('user') as UserId }
}
