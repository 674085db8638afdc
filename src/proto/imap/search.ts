/** SEARCH. RFC 3501 §6.4.4, §9 rules search, search-key; RFC 9051 §6.4.4 where it is the same; OLDER and YOUNGER: RFC 5032; MODSEQ: RFC 7162 §3.1.5, §3.1.6 */

import { messageIds } from '../../mime/message-id.ts'
import { parenthesisDepth, searchDepth } from './limits.ts'
import { type ReturnOptions, readReturnOptions } from './search-return.ts'
import { type MessageSet, savedResult } from './sequence-set.ts'
import { type ThreadAlgorithm, threadAlgorithms } from './thread-algorithm.ts'
import type { TokenReader } from './token-reader.ts'

/** What a message must be. Nested at most `searchDepth` deep. */
export type SearchKey =
  | { readonly key: 'ALL' }
  /** At least one; a parenthesised list or the command's own keys. */
  | { readonly key: 'AND'; readonly keys: readonly SearchKey[] }
  /** At least two: OR a OR b c is one OR of three. */
  | { readonly key: 'OR'; readonly keys: readonly SearchKey[] }
  | { readonly key: 'NOT'; readonly child: SearchKey }
  /** ANSWERED, UNDRAFT, KEYWORD …; also '\Recent' (RECENT, OLD, NEW). */
  | { readonly key: 'FLAG'; readonly flag: string; readonly present: boolean }
  /** Also BCC, CC, FROM, SUBJECT and TO. `field` in lower case; `value` in the search's charset, empty: the field exists. */
  | { readonly key: 'HEADER'; readonly field: string; readonly value: Buffer }
  | { readonly key: 'BODY' | 'TEXT'; readonly value: Buffer }
  /** `day` counts whole days since 1970-01-01, to be compared with the date alone, without time and zone. */
  | { readonly key: DateKey; readonly day: number }
  /** The mailbox notes when messages come into it. RFC 8514 §4.3 */
  | { readonly key: 'SAVEDATESUPPORTED' }
  /** Came that long ago, or longer; or that long ago at the most. */
  | { readonly key: 'OLDER' | 'YOUNGER'; readonly seconds: number }
  | { readonly key: 'LARGER' | 'SMALLER'; readonly sizeOctets: number }
  | { readonly key: 'SEQUENCE' | 'UID'; readonly set: MessageSet }
  /** In a thread with a message that is `child`. */
  | { readonly key: 'INTHREAD'; readonly algorithm: ThreadAlgorithm; readonly child: SearchKey }
  /** Below no other message; above none. */
  | { readonly key: 'THREADROOT' | 'THREADLEAF'; readonly algorithm: ThreadAlgorithm }
  /** Normalised: see `messageIds`. */
  | { readonly key: 'MESSAGEID'; readonly id: string }
  /** An object identifier, RFC 8474 §6; case matters. */
  | { readonly key: 'EMAILID' | 'THREADID'; readonly id: string }
  /** At least this one. All flags of a message have one MODSEQ, so an entry's name is of no meaning. */
  | { readonly key: 'MODSEQ'; readonly least: number }

export type DateKey =
  | 'BEFORE'
  | 'ON'
  | 'SINCE'
  | 'SENTBEFORE'
  | 'SENTON'
  | 'SENTSINCE'
  | 'SAVEDBEFORE'
  | 'SAVEDON'
  | 'SAVEDSINCE'

export interface SearchArgs {
  /** undefined: the client wants the SEARCH response. */
  readonly returned: ReturnOptions | undefined
  /** Upper case; undefined stands for US-ASCII. */
  readonly charset: string | undefined
  readonly key: SearchKey
}

const flagKeys: Readonly<Record<string, string>> = {
  ANSWERED: '\\Answered',
  DELETED: '\\Deleted',
  DRAFT: '\\Draft',
  FLAGGED: '\\Flagged',
  SEEN: '\\Seen',
}

/** `[SP "RETURN" SP search-return-opts] SP ["CHARSET" SP astring SP] search-key *(SP search-key) CRLF` */
export function readSearchArgs(input: TokenReader): SearchArgs {
  const returned = readReturnOptions(input)
  input.sp()
  let charset: string | undefined
  if (input.tryWord('CHARSET')) {
    input.sp()
    charset = input.astring('charset').toUpperCase()
    input.sp()
  }
  return { returned, charset, key: readKeys(input, returned?.threading) }
}

/** `charset 1*(SP search-key) CRLF`: what SORT and THREAD search by. RFC 5256 §5 rule search-criteria */
export function readSearchCriteria(input: TokenReader): { readonly charset: string; readonly key: SearchKey } {
  const charset = input.astring('charset').toUpperCase()
  // Often left out, since SEARCH needs none.
  if (input.peek() === '') throw input.tokenFault('search-criteria', 'a charset such as UTF-8, and then a search key')
  input.sp()
  return { charset, key: readKeys(input) }
}

function readKeys(input: TokenReader, threading: ThreadAlgorithm = 'REFS'): SearchKey {
  const keys: SearchKey[] = []
  do keys.push(readKey(input, threading, 0, 0))
  while (input.tryChar(' '))
  input.end()
  return keys.length === 1 ? keys[0]! : { key: 'AND', keys }
}

/** `depth` counts what surrounds the key, `parentheses` those of it that are parentheses. */
function readKey(input: TokenReader, threading: ThreadAlgorithm, depth: number, parentheses: number): SearchKey {
  if (depth > searchDepth) throw input.fault('search-key', `at most ${searchDepth} keys inside one another`)
  const next = input.peek()
  if (next === '(') {
    if (parentheses === parenthesisDepth)
      throw input.fault('search-key', `at most ${parenthesisDepth} parentheses inside one another`)
    const keys = input.parenthesised('search-key', () => readKey(input, threading, depth + 1, parentheses + 1))
    return keys.length === 1 ? keys[0]! : { key: 'AND', keys }
  }
  if (next === '*' || next === savedResult || (next >= '0' && next <= '9'))
    return { key: 'SEQUENCE', set: input.messageSet() }
  const word = input.keyword('search-key')
  const inner = () => {
    input.sp()
    return readKey(input, threading, depth + 1, parentheses)
  }
  if (word === 'NOT') return { key: 'NOT', child: inner() }
  if (word === 'OR') {
    const [left, right] = [inner(), inner()]
    return { key: 'OR', keys: [...alternatives(left), ...alternatives(right)] }
  }
  if (word === 'INTHREAD') {
    const algorithm = readAlgorithm(input) ?? threading
    return { key: 'INTHREAD', algorithm, child: inner() }
  }
  return readSimpleKey(input, word, threading)
}

function alternatives(key: SearchKey): readonly SearchKey[] {
  return key.key === 'OR' ? key.keys : [key]
}

/** `INTHREAD thread-alg search-key` is Dovecot's; the draft has the algorithm among the RETURN options. */
function readAlgorithm(input: TokenReader): ThreadAlgorithm | undefined {
  return threadAlgorithms.find((name) => input.tryWord(` ${name}`))
}

function readSimpleKey(input: TokenReader, word: string, threading: ThreadAlgorithm): SearchKey {
  if (Object.hasOwn(flagKeys, word)) return { key: 'FLAG', flag: flagKeys[word]!, present: true }
  const positive = word.slice(2)
  if (word.startsWith('UN') && Object.hasOwn(flagKeys, positive))
    return { key: 'FLAG', flag: flagKeys[positive]!, present: false }
  switch (word) {
    case 'ALL':
      return { key: 'ALL' }
    case 'SAVEDATESUPPORTED':
      return { key: word }
    case 'RECENT':
      return { key: 'FLAG', flag: '\\Recent', present: true }
    case 'OLD':
      return { key: 'FLAG', flag: '\\Recent', present: false }
    case 'NEW':
      return { key: 'AND', keys: [recent, unseen] }
    case 'KEYWORD':
    case 'UNKEYWORD':
      input.sp()
      return { key: 'FLAG', flag: input.atom('flag-keyword'), present: word === 'KEYWORD' }
    case 'BCC':
    case 'CC':
    case 'FROM':
    case 'SUBJECT':
    case 'TO':
      input.sp()
      return { key: 'HEADER', field: word.toLowerCase(), value: input.astringOctets() }
    case 'HEADER': {
      input.sp()
      const field = input.astring('header-fld-name').toLowerCase()
      input.sp()
      return { key: 'HEADER', field, value: input.astringOctets() }
    }
    case 'BODY':
    case 'TEXT':
      input.sp()
      return { key: word, value: input.astringOctets() }
    case 'BEFORE':
    case 'ON':
    case 'SINCE':
    case 'SENTBEFORE':
    case 'SENTON':
    case 'SENTSINCE':
    case 'SAVEDBEFORE':
    case 'SAVEDON':
    case 'SAVEDSINCE':
      input.sp()
      return { key: word, day: input.date() }
    case 'OLDER':
    case 'YOUNGER':
      input.sp()
      return { key: word, seconds: input.nzNumber() }
    case 'THREADROOT':
    case 'THREADLEAF':
      return { key: word, algorithm: threading }
    case 'MESSAGEID': {
      input.sp()
      const { value: id } = messageIds(input.astring('message-id')).next()
      if (id === undefined) throw input.tokenFault('search-key', 'a message id such as <a@b.example>')
      return { key: 'MESSAGEID', id }
    }
    case 'LARGER':
    case 'SMALLER':
      input.sp()
      return { key: word, sizeOctets: input.number64() }
    case 'EMAILID':
    case 'THREADID':
      input.sp()
      return { key: word, id: readObjectId(input) }
    case 'UID':
      input.sp()
      return { key: 'UID', set: input.messageSet() }
    case 'MODSEQ':
      input.sp()
      if (input.peek() === '"') readEntry(input)
      return { key: 'MODSEQ', least: input.number64('mod-sequence-valzer') }
    default:
      throw input.tokenFault('search-key', 'a search key such as ALL, UNSEEN, FROM or SINCE')
  }
}

/** RFC 8474 §7 */
function readObjectId(input: TokenReader): string {
  const id = input.atom('objectid')
  if (!/^[\w-]{1,255}$/.test(id)) throw input.tokenFault('objectid', 'at most 255 letters, digits, "_" and "-"')
  return id
}

/** `entry-name SP entry-type-req SP` */
function readEntry(input: TokenReader): void {
  if (!input.string('entry-name').toLowerCase().startsWith('/flags/'))
    throw input.tokenFault('entry-name', 'a name such as "/flags/\\\\Seen"')
  input.sp()
  if (!['PRIV', 'SHARED', 'ALL'].includes(input.keyword('entry-type-req')))
    throw input.tokenFault('entry-type-req', 'priv, shared or all')
  input.sp()
}

/** Whether a MODSEQ is searched for, so that results come with theirs. RFC 7162 §3.1.5 */
export function namesModSeq(key: SearchKey): boolean {
  return hasKey(key, (each) => each.key === 'MODSEQ')
}

/** Whether there are sequence numbers in it, which must not change meanwhile. RFC 7162 §3.2.10.2 */
export function namesNumbers(key: SearchKey): boolean {
  return hasKey(key, (each) => each.key === 'SEQUENCE' && each.set !== savedResult)
}

/** Whether messages come to match, or cease to, by time alone. RFC 5032 */
export function namesTime(key: SearchKey): boolean {
  return hasKey(key, (each) => each.key === 'OLDER' || each.key === 'YOUNGER')
}

/** Whether other messages decide what one is. draft-ietf-morg-inthread-01 */
export function namesThreads(key: SearchKey): boolean {
  return hasKey(key, (each) => each.key === 'INTHREAD' || each.key === 'THREADROOT' || each.key === 'THREADLEAF')
}

function hasKey(key: SearchKey, isOne: (key: SearchKey) => boolean): boolean {
  if (isOne(key)) return true
  if (key.key === 'NOT' || key.key === 'INTHREAD') return hasKey(key.child, isOne)
  if (key.key === 'AND' || key.key === 'OR') return key.keys.some((inner) => hasKey(inner, isOne))
  return false
}

const recent: SearchKey = { key: 'FLAG', flag: '\\Recent', present: true }
const unseen: SearchKey = { key: 'FLAG', flag: '\\Seen', present: false }

const pieceOctets = 16 * 1024

/**
 * `* SEARCH 2 84 882 (MODSEQ 917162500)`, in pieces: sequence numbers, or UIDs behind UID SEARCH; SORT likewise. `modSeq`: the highest of these messages,
 * where it was searched for one. RFC 3501 §7.2.5, RFC 5256 §4, RFC 7162 §3.1.6
 */
export function* formatSearch(
  word: 'SEARCH' | 'SORT',
  numbers: Iterable<number>,
  modSeq?: number,
): Generator<string, void, undefined> {
  let piece = `* ${word}`
  for (const number of numbers) {
    piece += ` ${number}`
    if (piece.length < pieceOctets) continue
    yield piece
    piece = ''
  }
  yield modSeq === undefined ? `${piece}\r\n` : `${piece} (MODSEQ ${modSeq})\r\n`
}
