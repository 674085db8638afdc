/** NOTIFY's arguments. RFC 5465 §8 */

import { type FetchItem, readFetchAtts } from './fetch.ts'
import { MailboxNameFault } from './mailbox-name.ts'
import type { TokenReader } from './token-reader.ts'

/** Those that there are here, spelt as the RFC does. */
export const notifyEvents = [
  'MessageNew',
  'MessageExpunge',
  'FlagChange',
  'MailboxName',
  'SubscriptionChange',
  'MailboxMetadataChange',
  'ServerMetadataChange',
] as const
export type NotifyEvent = (typeof notifyEvents)[number]

const messageEvents: ReadonlySet<string> = new Set([
  'MESSAGENEW',
  'MESSAGEEXPUNGE',
  'FLAGCHANGE',
  'ANNOTATIONCHANGE',
] as const)

const otherEvents: ReadonlySet<string> = new Set(notifyEvents.map((event) => event.toUpperCase())).difference(
  messageEvents,
)

/** Which mailboxes a group is about; names in Unicode, those that no mailbox can have left out. */
export type MailboxFilter =
  | { readonly kind: 'selected' | 'selected-delayed' | 'inboxes' | 'personal' | 'subscribed' }
  | { readonly kind: 'subtree' | 'mailboxes'; readonly names: readonly string[] }

export interface EventGroup {
  readonly filter: MailboxFilter
  /** Empty: NONE. */
  readonly events: ReadonlySet<NotifyEvent>
  /** What is told of a new message of the selected mailbox; undefined where the client asks for nothing. */
  readonly items: readonly FetchItem[] | undefined
}

export interface NotifyArgs {
  readonly status: boolean
  /** Empty: NONE. */
  readonly groups: readonly EventGroup[]
  /** The client named an event that is none of `notifyEvents`. */
  readonly namesOthers: boolean
}

/** `SP ("SET" [SP "STATUS"] SP event-groups / "NONE") CRLF`; the events of a group may also stand without parentheses, as in the first example of the RFC. */
export function readNotifyArgs(input: TokenReader): NotifyArgs {
  input.sp()
  const word = input.keyword('notify')
  if (word === 'NONE') {
    input.end()
    return { status: false, groups: [], namesOthers: false }
  }
  if (word !== 'SET') throw input.tokenFault('notify', 'SET or NONE')
  const status = input.tryWord(' STATUS')
  const read: ReadGroup[] = []
  do {
    input.sp()
    read.push(readGroup(input))
  } while (input.peek() !== '')
  input.end()
  if (read.filter(({ filter }) => isOfSelected(filter)).length > 1)
    throw input.fault('event-groups', 'SELECTED or SELECTED-DELAYED once')
  return { status, groups: read, namesOthers: read.some(({ namesOthers }) => namesOthers) }
}

export const isOfSelected = ({ kind }: MailboxFilter): boolean => kind === 'selected' || kind === 'selected-delayed'

type ReadGroup = EventGroup & Pick<NotifyArgs, 'namesOthers'>

const filters = ['selected', 'selected-delayed', 'inboxes', 'personal', 'subscribed', 'subtree', 'mailboxes'] as const

function readGroup(input: TokenReader): ReadGroup {
  input.char('(', 'event-group')
  const word = input.keyword('filter-mailboxes').toLowerCase()
  const kind = filters.find((known) => known === word)
  if (kind === undefined) throw input.tokenFault('filter-mailboxes', filters.join(', '))
  input.sp()
  const filter = kind === 'subtree' || kind === 'mailboxes' ? { kind, names: readNames(input) } : { kind }
  const group = { filter, ...readEvents(input, isOfSelected(filter)) }
  input.char(')', 'event-group')
  return group
}

/** With the space behind them. */
function readNames(input: TokenReader): readonly string[] {
  const names: string[] = []
  const read = () => {
    try {
      names.push(input.mailbox())
    } catch (error) {
      // RFC 5465 §3.1: what is no mailbox is passed over.
      if (!(error instanceof MailboxNameFault)) throw error
    }
  }
  if (input.peek() === '(') input.parenthesised('many-mailboxes', read)
  else read()
  input.sp()
  return names
}

function readEvents(input: TokenReader, ofSelected: boolean): Omit<ReadGroup, 'filter'> {
  const words = new Set<string>()
  let items: readonly FetchItem[] | undefined
  const isList = input.tryChar('(')
  do {
    const word = input.keyword('event')
    if (ofSelected && otherEvents.has(word))
      throw input.tokenFault('event', 'events of messages for the selected mailbox')
    words.add(word)
    if (word !== 'MESSAGENEW' || !(input.tryString(' (') || input.tryString('('))) continue
    if (!ofSelected) throw input.fault('event', 'items of messages for the selected mailbox only')
    items = readFetchAtts(input)
  } while (input.tryChar(' '))
  if (isList) input.char(')', 'events')
  if (words.has('NONE')) {
    if (words.size > 1 || isList) throw input.tokenFault('events', 'NONE alone, without parentheses')
    words.clear()
  }
  // RFC 5465 §5
  const changes = words.has('FLAGCHANGE') || words.has('ANNOTATIONCHANGE')
  const [arrivals, departures] = [words.has('MESSAGENEW'), words.has('MESSAGEEXPUNGE')]
  if (arrivals !== departures || (changes && !arrivals))
    throw input.fault('events', 'MessageNew and MessageExpunge together, and both with FlagChange or AnnotationChange')
  const events = new Set(notifyEvents.filter((event) => words.delete(event.toUpperCase())))
  return { events, items, namesOthers: words.size > 0 }
}

/** BADEVENT. RFC 5465 §3.1 */
export const badEventCode = `BADEVENT (${notifyEvents.join(' ')})`
