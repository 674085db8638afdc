/** Mailboxes of others that a client asks for, as far as the user sees them now: rights come and go while the client listens. RFC 5465 §5.4, §5.9 */

import { looksAtOnce } from '../../sharing/trees.ts'
import { severalAtOnce } from '../../store/several.ts'
import { Refusal } from '../replies.ts'
import type { Session } from '../session.ts'
import type { Interest } from './interest.ts'

/** Of one session. */
const maxSeen = 10_000

export interface SeenChange {
  readonly name: string
  readonly oldName: string | undefined
  /** The user may read it now, and could not before. */
  readonly gained: boolean
}

export class OthersSeen {
  readonly #session: Session
  readonly #interest: Interest
  /** Whether the user may read it, by name; undefined before the first look. */
  #seen: ReadonlyMap<string, boolean> | undefined
  /** By the new name. */
  readonly #renamed = new Map<string, string>()

  constructor(session: Session, interest: Interest) {
    this.#session = session
    this.#interest = interest
  }

  /** The client asks for mailboxes of others. */
  get isWatched(): boolean {
    const isOthers = (name: string) => !this.#session.hierarchy.isOwn(name)
    return this.#interest.tops.some(isOthers) || this.#interest.subscribed.values().some(isOthers)
  }

  mayRead(name: string): boolean {
    return this.#seen?.get(name) === true
  }

  get readable(): readonly string[] {
    return this.#where(true)
  }

  get unreadable(): readonly string[] {
    return this.#where(false)
  }

  renamed(from: string, to: string): void {
    if (this.#renamed.size < maxSeen) this.#renamed.set(to, from)
  }

  /** What the client is to be told since the last look. Throws StoreError, Refusal. */
  async look(): Promise<readonly SeenChange[]> {
    const before = this.#seen
    const now = this.isWatched ? await this.#find() : new Map<string, boolean>()
    this.#seen = now
    const renamed = new Map(this.#renamed)
    this.#renamed.clear()
    if (before === undefined) return []
    const changes: SeenChange[] = []
    const came = new Set<string>()
    for (const [name, mayRead] of now) {
      if (before.get(name) === mayRead) continue
      const from = before.has(name) ? undefined : renamed.get(name)
      const oldName = from !== undefined && before.has(from) && !now.has(from) ? from : undefined
      if (oldName !== undefined) came.add(oldName)
      if (this.#isTold(name, before.has(name)))
        changes.push({ name, oldName, gained: mayRead && oldName === undefined })
    }
    for (const name of before.keys())
      if (!now.has(name) && !came.has(name) && this.#isTold(name, false))
        changes.push({ name, oldName: undefined, gained: false })
    return changes
  }

  /** `wasSeen`: only what may be done with it changed. */
  #isTold(name: string, wasSeen: boolean): boolean {
    const events = this.#interest.eventsOf(name)
    return events.has('MessageNew') || (events.has('MailboxName') && !wasSeen)
  }

  #where(mayRead: boolean): readonly string[] {
    return [...(this.#seen ?? [])].flatMap(([name, may]) =>
      may === mayRead && this.#interest.wants('MessageNew', name) ? [name] : [],
    )
  }

  async #find(): Promise<ReadonlyMap<string, boolean>> {
    const { hierarchy } = this.#session
    const names = (await hierarchy.listOthers()).flatMap(({ name, selectable }) =>
      selectable && this.#interest.eventsOf(name).size > 0 ? [name] : [],
    )
    if (names.length > maxSeen)
      throw new Refusal('NO', 'NOTIFICATIONOVERFLOW', `At most ${maxSeen} mailboxes of others in one NOTIFY`)
    const found = new Map<string, boolean>()
    await severalAtOnce(names, looksAtOnce, async (name) => {
      const rights = await hierarchy.rightsAt(name)
      if (rights.has('l')) found.set(name, rights.has('r'))
    })
    return found
  }
}
