/** What a client wants to be told of which mailbox. RFC 5465 §5, §6 */

import { StoreError } from '../../base/errors.ts'
import type { FetchItem } from '../../proto/imap/fetch.ts'
import { type EventGroup, isOfSelected, type MailboxFilter, type NotifyEvent } from '../../proto/imap/notify.ts'
import { canonicalName } from '../../store/names.ts'

/** Of the selected mailbox. */
export interface SelectedInterest {
  /** Of messages that come and go. */
  readonly messages: boolean
  readonly flags: boolean
  /** Between commands, too. */
  readonly expunges: boolean
  /** Told of a message that has come. */
  readonly items: readonly FetchItem[]
}

const noEvents: ReadonlySet<NotifyEvent> = new Set()

interface OtherGroup {
  readonly matches: (name: string) => boolean
  readonly events: ReadonlySet<NotifyEvent>
}

export class Interest {
  readonly selected: SelectedInterest
  /** Canonical names at or below which there may be mailboxes of others that the client asks for. */
  readonly tops: readonly string[]
  /** Mailboxes of the account's owner are asked for by more than their names. */
  readonly isOpen: boolean
  /** Whether what is subscribed to matters. */
  readonly needsSubscriptions: boolean
  /** NONE, or as good as that. */
  readonly isEmpty: boolean
  subscribed: ReadonlySet<string> = new Set()
  readonly #groups: readonly OtherGroup[]
  readonly #isOwn: (name: string) => boolean

  /** `isOwn`: see `Hierarchy`. */
  constructor(groups: readonly EventGroup[], isOwn: (name: string) => boolean) {
    this.#isOwn = isOwn
    const ofSelected = groups.find(({ filter }) => isOfSelected(filter))
    this.selected = {
      messages: ofSelected?.events.has('MessageNew') === true,
      flags: ofSelected?.events.has('FlagChange') === true,
      expunges: ofSelected?.filter.kind === 'selected',
      items: ofSelected?.items ?? [],
    }
    const others = groups.filter(({ filter }) => !isOfSelected(filter))
    this.#groups = others.map(({ filter, events }) => ({ matches: this.#matcherOf(filter), events }))
    this.tops = [...new Set(others.flatMap(({ filter }) => ('names' in filter ? canonical(filter.names) : [])))]
    this.needsSubscriptions = others.some(({ filter }) => filter.kind === 'subscribed')
    this.isEmpty = groups.every(({ events }) => events.size === 0)
    this.isOpen = others.some(({ filter }) => filter.kind !== 'mailboxes')
  }

  /**
   * Events of a mailbox that is not selected, by its canonical name; the server's is ''. Groups are looked at in the client's order, and each that is about the mailbox
   * adds its events; NONE ends that.
   */
  eventsOf(name: string): ReadonlySet<NotifyEvent> {
    let found = noEvents
    for (const { matches, events } of this.#groups) {
      if (!matches(name)) continue
      if (events.size === 0) break
      found = found.size === 0 ? events : found.union(events)
    }
    return found
  }

  wants(event: NotifyEvent, name: string): boolean {
    return this.eventsOf(name).has(event)
  }

  /** Of any mailbox, the selected one aside. */
  has(event: NotifyEvent): boolean {
    return this.#groups.some(({ events }) => events.has(event))
  }

  #matcherOf(filter: MailboxFilter): OtherGroup['matches'] {
    switch (filter.kind) {
      case 'selected':
      case 'selected-delayed':
        return () => false
      // Sieve files into any of them: RFC 5465 §6.3
      case 'inboxes':
      case 'personal':
        return this.#isOwn
      case 'subscribed':
        return (name) => this.subscribed.has(name)
      case 'mailboxes': {
        const names = new Set(canonical(filter.names))
        return (name) => names.has(name)
      }
      case 'subtree': {
        const tops = new Set(canonical(filter.names))
        return (name) => {
          for (let end = name.length; end > 0; end = name.lastIndexOf('/', end - 1))
            if (tops.has(name.slice(0, end))) return true
          return false
        }
      }
    }
  }
}

/** What no mailbox can be called is left out. RFC 5465 §3.1 */
function canonical(names: readonly string[]): readonly string[] {
  return names.flatMap((name) => {
    try {
      return [canonicalName(name)]
    } catch (error) {
      if (error instanceof StoreError) return []
      throw error
    }
  })
}
