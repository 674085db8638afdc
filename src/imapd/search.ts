/**
 * SEARCH's keys over a view, RFC 3501 §6.4.4. A key is tried with what is at hand first: the list of messages, then what is cached of
 * headers, and only what is still open then with the text.
 */

import { charsetNames, decodeCharset, decodeUnlabelled, isKnownCharset } from '../mime/charset.ts'
import { fold } from '../mime/fold.ts'
import type { DateKey, SearchKey } from '../proto/imap/search.ts'
import { endsOf, type ReturnOptions } from '../proto/imap/search-return.ts'
import {
  type IndexRun,
  indexesOf,
  resolveSequenceNumbers,
  resolveUids,
  savedResult,
} from '../proto/imap/sequence-set.ts'
import { type HeaderTexts, isInSummaries } from '../store/header-texts.ts'
import { searchedOctets } from '../store/searched-text.ts'
import type { MessageRecord } from '../store/types.ts'
import { keptAlive, signMs } from './keep-alive.ts'
import { emailObjectId, internalDateIn } from './object-id.ts'
import { Refusal } from './replies.ts'
import { LookedInto, wantedField } from './search-text.ts'
import { markThreads, type ThreadMarks } from './search-threads.ts'
import type { Session } from './session.ts'
import { Slice } from './slice.ts'
import type { View } from './view.ts'

/** What was read of a message. */
interface Inside {
  readonly header?: HeaderTexts
  readonly text?: LookedInto
}

/** Whether the message at a position matches; undefined: not to be told from what is known. */
type Test = (position: number, inside: Inside) => boolean | undefined

const unread: Inside = {}

const daySeconds = 86_400

/** Far more than anybody searches for: one message is looked into for all of them in one go, some 10 ms. */
const maxTexts = 300

/** Messages that are looked into together: some blocks of the derived caches. */
const togetherMessages = 1024
/** The same where a few matches may be enough. */
const fewTogether = 64

const ascending = (a: number, b: number) => a - b

export interface Matches {
  /** Ascending. */
  readonly positions: readonly number[]
  /** Of messages that would have to be looked into, and have not come from an old server. Ascending. */
  readonly away: readonly number[]
  /** As many, and those that a search for threads is about. */
  readonly unseen: number
}

/** Throws Refusal. RFC 3501 §6.4.4, RFC 5256 §3 */
export function requireCharset(charset: string): void {
  if (!isKnownCharset(charset))
    throw new Refusal('NO', `BADCHARSET (${charsetNames.join(' ')})`, 'The charset is not known here')
}

export type Searching = Pick<Session, 'view' | 'services' | 'connection' | 'output' | 'untagged' | 'log'>

/** Which messages are tried. */
export interface Scope {
  /** Ascending or descending. */
  readonly among: Iterable<number>
  /** Those behind so many matches, in that order, need not be found. */
  readonly enough: number
}

const allOf = ({ exists }: View): Scope => ({ among: indexesOf([{ start: 0, end: exists }]), enough: Infinity })

/** All messages, or as many from one end as are told of when the client named these RETURN options. */
export function scopeOf(view: View, returned: ReturnOptions | undefined): Scope {
  const ends = returned === undefined ? undefined : endsOf(returned)
  if (ends === undefined || (ends.first > 0 && ends.last > 0)) return allOf(view)
  if (ends.first > 0) return { ...allOf(view), enough: ends.first }
  return { among: downFrom(view.exists - 1), enough: ends.last }
}

function* downFrom(position: number): Iterable<number> {
  for (let at = position; at >= 0; at--) yield at
}

/** `charset` (upper case, known) is that of the key's texts. Throws ConnectionLost when the client went away, StoreError, Refusal. */
export function findMatches(
  session: Searching,
  key: SearchKey,
  charset: string | undefined,
  scope: Scope = allOf(session.view),
): Promise<Matches> {
  const progress = { looked: 0 }
  const text = () => `Searched ${Math.floor((100 * progress.looked) / session.view.exists)}% of the messages`
  return keptAlive(session, signMs, text, find(session, key, charset, scope, progress))
}

async function find(
  session: Searching,
  key: SearchKey,
  charset: string | undefined,
  { among, enough }: Scope,
  progress: { looked: number },
): Promise<Matches> {
  const { view, services, connection } = session
  const { signal } = connection
  const asked: Asked = { names: new Set(), texts: new Map() }
  let unseen = 0
  const away: number[] = []
  const threads = await markThreads(session, key, async (inner) => {
    const matches = await find(session, inner, charset, allOf(view), { looked: 0 })
    unseen = Math.max(unseen, matches.unseen)
    return matches.positions
  })
  const test = compile(key, { view, nowSeconds: Math.floor(services.clock.now() / 1000), asked, charset, threads })
  const found: number[] = []
  let open: number[] = []
  const slice = new Slice()
  const together = enough === Infinity ? togetherMessages : fewTogether
  const settle = async () => {
    for await (const position of matchesInside(test, view, open.sort(ascending), asked, slice, signal))
      found.push(position)
    open = []
  }
  // Nothing renumbers the view while its session is in a command.
  for (const position of among) {
    const atOnce = test(position, unread)
    if (atOnce === true) found.push(position)
    else if (atOnce === undefined && !isHere(view, position)) away.push(position)
    else if (atOnce === undefined && open.push(position) === together) await settle()
    if (found.length >= enough) break
    progress.looked = position
    if (slice.isOver()) await slice.next()
  }
  await settle()
  return { positions: found.sort(ascending), away: away.sort(ascending), unseen: unseen + away.length }
}

/** By now. */
const isHere = (view: View, position: number): boolean => view.isHereAt(position) || view.recordNow(position).isHere

/** Which of the messages match, that have to be looked into. One that can't be read (any more) matches nothing that its octets decide. */
async function* matchesInside(
  test: Test,
  view: View,
  positions: readonly number[],
  { names, texts }: Asked,
  slice: Slice,
  signal: AbortSignal,
): AsyncGenerator<number, void, undefined> {
  const { mailbox } = view
  const records = positions.map((position) => view.recordNow(position))
  const headers = await mailbox.headerTexts(records, [...names])
  signal.throwIfAborted()
  const open = new Map<MessageRecord, { readonly position: number; readonly header: HeaderTexts }>()
  for (const [index, header] of headers.entries()) {
    const position = positions[index]!
    const byHeader = header === undefined ? false : test(position, { header })
    if (byHeader === true) yield position
    else if (byHeader === undefined) open.set(records[index]!, { position, header: header! })
    if (slice.isOver()) await slice.next()
  }
  const textSlice = new Slice(1)
  for await (const run of mailbox.texts([...open.keys()])) {
    signal.throwIfAborted()
    for (const [record, searched] of run) {
      const { position, header } = open.get(record)!
      const text = await LookedInto.of(mailbox, record, searched, texts)
      if (text !== undefined && test(position, { header, text }) === true) yield position
      if (textSlice.isOver()) await textSlice.next()
    }
  }
}

/** What the keys look for in messages. */
interface Asked {
  /** Fields, in lower case, of those that summaries have. */
  readonly names: Set<string>
  readonly texts: Map<string, Buffer>
}

/** What keys are understood by. */
interface Setting {
  readonly view: View
  readonly nowSeconds: number
  /** Collects. */
  readonly asked: Asked
  readonly charset: string | undefined
  readonly threads: ThreadMarks
}

function compile(key: SearchKey, setting: Setting): Test {
  const { view, nowSeconds, asked, charset } = setting
  const textOf = (octets: Buffer) => fold(decodeText(octets, charset))
  switch (key.key) {
    case 'ALL':
      return () => true
    case 'AND':
      return all(key.keys.map((inner) => compile(inner, setting)))
    case 'OR':
      return any(key.keys.map((inner) => compile(inner, setting)))
    case 'NOT': {
      const inner = compile(key.child, setting)
      return (position, inside) => {
        const result = inner(position, inside)
        return result === undefined ? undefined : !result
      }
    }
    case 'FLAG':
      return hasFlag(view, key.flag, key.present)
    case 'HEADER': {
      const needle = textOf(key.value)
      const field = wantedField(key.field, needle)
      if (isInSummaries(key.field)) asked.names.add(key.field)
      return (_, { header, text }) => {
        if (header?.fields.has(key.field) === true) return header.fields.get(key.field)?.includes(needle) ?? false
        return text?.fieldHas(field)
      }
    }
    case 'TEXT':
    case 'BODY': {
      const needle = textOf(key.value)
      if (needle === '') return () => true
      if (asked.texts.set(needle, searchedOctets(needle)).size > maxTexts)
        throw new Refusal('NO', 'LIMIT', `At most ${maxTexts} different texts in one search`)
      return (_, { text }) => text?.has(needle, key.key === 'TEXT')
    }
    case 'EMAILID':
      return hasEmailId(view, key.id)
    case 'THREADID':
      // None is told of any message. RFC 8474 §5.2
      return () => false
    case 'LARGER':
      return (position) => view.sizeAt(position) > key.sizeOctets
    case 'SMALLER':
      return (position) => view.sizeAt(position) < key.sizeOctets
    case 'BEFORE':
    case 'ON':
    case 'SINCE':
      return (position) => compareDay(key.key, Math.floor(view.internalDateAt(position) / daySeconds), key.day)
    case 'SAVEDBEFORE':
    case 'SAVEDON':
    case 'SAVEDSINCE':
      return (position) => {
        // RFC 8514 §4.3: where it was not noted INTERNALDATE stands for it.
        const seconds = view.savedDateAt(position) ?? view.internalDateAt(position)
        return compareDay(key.key, Math.floor(seconds / daySeconds), key.day)
      }
    case 'SAVEDATESUPPORTED':
      return () => true
    case 'SENTBEFORE':
    case 'SENTON':
    case 'SENTSINCE':
      return (_, { header }) => header && sent(key.key, header, key.day)
    case 'OLDER':
      return (position) => view.internalDateAt(position) <= nowSeconds - key.seconds
    case 'YOUNGER':
      return (position) => view.internalDateAt(position) >= nowSeconds - key.seconds
    case 'INTHREAD':
    case 'THREADROOT':
    case 'THREADLEAF':
    case 'MESSAGEID': {
      const marks = setting.threads.get(key)!
      return (position) => marks[position] === 1
    }
    case 'UID':
      return inRuns(
        resolveUids(key.set === savedResult ? view.saved : key.set, view.exists, (position) => view.uidAt(position)),
      )
    case 'MODSEQ':
      return (position) => view.modSeqAt(position) >= key.least
    case 'SEQUENCE':
      // A number above EXISTS is a condition that no message meets, as in Dovecot: clients search 1:* in empty mailboxes too.
      if (key.set === savedResult)
        return inRuns(resolveUids(view.saved, view.exists, (position) => view.uidAt(position)))
      return inRuns(resolveSequenceNumbers(key.set, view.exists))
  }
}

function all(tests: readonly Test[]): Test {
  return (position, inside) => {
    let open = false
    for (const test of tests) {
      const result = test(position, inside)
      if (result === false) return false
      if (result === undefined) open = true
    }
    return open ? undefined : true
  }
}

function any(tests: readonly Test[]): Test {
  return (position, inside) => {
    let open = false
    for (const test of tests) {
      const result = test(position, inside)
      if (result === true) return true
      if (result === undefined) open = true
    }
    return open ? undefined : false
  }
}

/** Keywords are compared without case. RFC 9051 §2.3.2 */
function hasFlag(view: View, flag: string, present: boolean): Test {
  if (flag === '\\Recent') return (position) => view.isRecent(view.uidAt(position)) === present
  const lower = flag.toLowerCase()
  const known = new Map<ReadonlySet<string>, boolean>()
  return (position) => {
    const flags = view.flagsAt(position)
    let has = known.get(flags)
    if (has === undefined) {
      has = flags.has(flag) || flags.values().some((other) => other.toLowerCase() === lower)
      known.set(flags, has)
    }
    return has === present
  }
}

function hasEmailId(view: View, id: string): Test {
  const date = internalDateIn(id)
  return (position) => {
    if (view.internalDateAt(position) !== date) return false
    const record = view.recordNow(position)
    return record.isHere ? emailObjectId(record) === id : undefined
  }
}

function inRuns(runs: readonly IndexRun[]): Test {
  return (position) => {
    let low = 0
    let high = runs.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (runs[middle]!.end <= position) low = middle + 1
      else high = middle
    }
    return low < runs.length && runs[low]!.start <= position
  }
}

function compareDay(key: DateKey, day: number, wanted: number): boolean {
  switch (key) {
    case 'BEFORE':
    case 'SENTBEFORE':
    case 'SAVEDBEFORE':
      return day < wanted
    case 'ON':
    case 'SENTON':
    case 'SAVEDON':
      return day === wanted
    case 'SINCE':
    case 'SENTSINCE':
    case 'SAVEDSINCE':
      return day >= wanted
  }
}

/** Without a legible Date field a message was sent on no day at all. */
function sent(key: DateKey, { sentDay }: HeaderTexts, wanted: number): boolean {
  return sentDay !== undefined && compareDay(key, sentDay, wanted)
}

/** A search text in the characters it stands for. In UTF-8, and where no charset is named, octets that are none are taken for latin1: clients send those. */
function decodeText(octets: Buffer, charset = 'UTF-8'): string {
  const text = charset === 'UTF-8' ? undefined : decodeCharset(octets, charset)
  return text ?? decodeUnlabelled(octets)
}
