/**
 * SEARCH's keys over a view, RFC 3501 §6.4.4. A key is tried with what is at hand first: the list of messages, then the cached summary,
 * and only what is still open then with the message's octets.
 */

import { StoreError } from '../base/errors.ts'
import { charsetNames, decodeCharset, decodeUnlabelled, isKnownCharset } from '../mime/charset.ts'
import { sentDay } from '../mime/date.ts'
import { fold } from '../mime/fold.ts'
import type { MessageSummary } from '../mime/types.ts'
import type { DateKey, SearchKey } from '../proto/imap/search.ts'
import { type IndexRun, resolveSequenceNumbers, resolveUids, savedResult } from '../proto/imap/sequence-set.ts'
import { emailObjectId, internalDateIn } from './object-id.ts'
import { Refusal } from './replies.ts'
import { isInSummary, MessageText, summaryFieldHas } from './search-text.ts'
import type { Session } from './session.ts'
import { Slice } from './slice.ts'
import type { View } from './view.ts'

/** What was read of a message. */
interface Inside {
  readonly summary?: MessageSummary
  readonly text?: MessageText
}

/** Whether the message at a position matches; undefined: not to be told from what is known. */
type Test = (position: number, inside: Inside) => boolean | undefined

const unread: Inside = {}

const daySeconds = 86_400

/** Messages that are read side by side. */
const readAtOnce = 8

export interface Matches {
  /** Ascending. */
  readonly positions: readonly number[]
  /** Messages that would have to be looked into, and have not come from an old server. */
  readonly unseen: number
}

/** Throws Refusal. RFC 3501 §6.4.4, RFC 5256 §3 */
export function requireCharset(charset: string): void {
  if (!isKnownCharset(charset))
    throw new Refusal('NO', `BADCHARSET (${charsetNames.join(' ')})`, 'The charset is not known here')
}

/** `charset` (upper case, known) is that of the key's texts. */
export async function findMatches(
  { view, services }: Pick<Session, 'view' | 'services'>,
  key: SearchKey,
  charset: string | undefined,
): Promise<Matches> {
  const texts = new Set<string>()
  const test = compile(key, { view, nowSeconds: Math.floor(services.clock.now() / 1000), texts, charset })
  const found: number[] = []
  let open: number[] = []
  let unseen = 0
  const settle = async () => {
    const matches = await Promise.all(open.map((position) => matchesInside(test, view, position, [...texts])))
    found.push(...open.filter((_, index) => matches[index] === true))
    open = []
  }
  const slice = new Slice()
  // Nothing renumbers the view while its session is in a command.
  for (let position = 0; position < view.exists; position++) {
    const atOnce = test(position, unread)
    if (atOnce === true) found.push(position)
    else if (atOnce === undefined && !isHere(view, position)) unseen += 1
    else if (atOnce === undefined && open.push(position) === readAtOnce) await settle()
    if (slice.isOver()) await slice.next()
  }
  await settle()
  return { positions: found.sort((a, b) => a - b), unseen }
}

/** By now. */
const isHere = (view: View, position: number): boolean => view.isHereAt(position) || view.recordNow(position).isHere

/** Looks into the message. One that can't be read (any more) matches nothing that its octets decide. */
async function matchesInside(test: Test, view: View, position: number, texts: readonly string[]): Promise<boolean> {
  const record = view.at(position)
  try {
    const summary = await view.mailbox.summary(record)
    const bySummary = test(position, { summary })
    if (bySummary !== undefined) return bySummary
    const text = await MessageText.read(view.mailbox, record, summary, texts)
    return test(position, { summary, text }) === true
  } catch (error) {
    if (error instanceof StoreError && (error.kind === 'damaged' || error.kind === 'expunged')) return false
    throw error
  }
}

/** What keys are understood by. */
interface Setting {
  readonly view: View
  readonly nowSeconds: number
  /** Collects what BODY and TEXT keys look for. */
  readonly texts: Set<string>
  readonly charset: string | undefined
}

function compile(key: SearchKey, setting: Setting): Test {
  const { view, nowSeconds, texts, charset } = setting
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
      return (_, { summary, text }) => {
        if (text !== undefined) return text.fieldHas(key.field, needle)
        return summary !== undefined && isInSummary(summary, key.field)
          ? summaryFieldHas(summary, key.field, needle)
          : undefined
      }
    }
    case 'TEXT':
    case 'BODY': {
      const needle = textOf(key.value)
      if (needle === '') return () => true
      texts.add(needle)
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
    case 'SENTBEFORE':
    case 'SENTON':
    case 'SENTSINCE':
      return (_, { summary }) => summary && sent(key.key, summary, key.day)
    case 'OLDER':
      return (position) => view.internalDateAt(position) <= nowSeconds - key.seconds
    case 'YOUNGER':
      return (position) => view.internalDateAt(position) >= nowSeconds - key.seconds
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
      return day < wanted
    case 'ON':
    case 'SENTON':
      return day === wanted
    case 'SINCE':
    case 'SENTSINCE':
      return day >= wanted
  }
}

/** Without a legible Date field a message was sent on no day at all. */
function sent(key: DateKey, summary: MessageSummary, wanted: number): boolean {
  const date = summary.root.envelope?.date
  const day = date === undefined ? undefined : sentDay(date)
  return day !== undefined && compareDay(key, day, wanted)
}

/** A search text in the characters it stands for. In UTF-8, and where no charset is named, octets that are none are taken for latin1: clients send those. */
function decodeText(octets: Buffer, charset = 'UTF-8'): string {
  const text = charset === 'UTF-8' ? undefined : decodeCharset(octets, charset)
  return text ?? decodeUnlabelled(octets)
}
