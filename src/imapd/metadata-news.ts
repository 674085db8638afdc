/** What one session is to be told of annotations that others changed, since it enabled METADATA. RFC 5464 §4.4.2 */

import { StoreError } from '../base/errors.ts'
import { formatMetadataNames } from '../proto/imap/metadata.ts'
import { isShared, mayAnnotate } from './annotations.ts'
import type { Session } from './session.ts'

/** Entries of all mailboxes and of the server: a client that says nothing for so long is told of those that came first. Whoever has a mailbox can make others wait for news. */
const maxWaiting = 1000

/** Who asked by NOTIFY is told what he asked for. RFC 5465 §5.6, §5.7 */
const wantsMetadata = ({ interest }: Session, name: string): boolean =>
  interest === undefined ||
  (name === '' ? interest.has('ServerMetadataChange') : interest.wants('MailboxMetadataChange', name))

export class MetadataNews implements Disposable {
  readonly #session: Session
  readonly #stop: () => void
  /** Entries by mailbox, as the user calls it. */
  #waiting = new Map<string, Set<string>>()
  #count = 0
  /** Called when there is something. */
  onNews: (() => void) | undefined

  constructor(session: Session) {
    this.#session = session
    this.#stop = session.services.metadataChanges.listen((change, from) => {
      if (from === session || !(isShared(change.entry) || change.user === session.userId)) return
      const name = session.hierarchy.nameOf(change.tree, change.mailbox)
      if (!wantsMetadata(session, name)) return
      const entries = this.#waiting.get(name) ?? new Set()
      if (!entries.has(change.entry) && this.#count < maxWaiting) {
        this.#waiting.set(name, entries.add(change.entry))
        this.#count++
      }
      this.onNews?.()
    })
  }

  /** Only of mailboxes whose annotations the user may read, as of now. */
  async tell(): Promise<void> {
    if (this.#waiting.size === 0) return
    const waiting = this.#waiting
    this.#waiting = new Map()
    this.#count = 0
    for (const [name, entries] of waiting)
      if (name === '' || (await this.#mayRead(name)))
        this.#session.output.write(formatMetadataNames(this.#session.spelling, name, entries))
  }

  async #mayRead(name: string): Promise<boolean> {
    try {
      return mayAnnotate((await this.#session.hierarchy.permit(name)).rights)
    } catch (error) {
      if (error instanceof StoreError) return false
      throw error
    }
  }

  [Symbol.dispose](): void {
    this.#stop()
  }
}
