/** Annotations on the wire. RFC 5464 §4, §5 */

import type { NameSpelling } from './mailbox-name.ts'
import { formatAstring, formatMailbox, formatNstring } from './strings.ts'
import type { TokenReader } from './token-reader.ts'

export interface GetMetadataArgs {
  /** Unicode, INBOX folded; empty for the server. */
  readonly mailbox: string
  /** Larger values are left out. */
  readonly maxOctets: number | undefined
  /** Levels below what is named. */
  readonly depth: 0 | 1 | 'infinity'
  /** In lower case, each once. */
  readonly entries: readonly string[]
}

export interface SetMetadataArgs {
  readonly mailbox: string
  /** By entry, in lower case; octets in latin1, undefined removes. */
  readonly values: ReadonlyMap<string, string | undefined>
}

const maxEntryChars = 255

/** What an entry, in lower case, can be called: printing ASCII, no wildcards, no empty level, /private or /shared or below these. RFC 5464 §3.2 */
export const isMetadataEntry = (entry: string): boolean =>
  entry.length <= maxEntryChars && /^\/(?:private|shared)(?:\/[^\x00-\x1f\x7f-\uffff*%/]+)*$/.test(entry)

/**
 * `[SP getmetadata-options] SP mailbox [SP getmetadata-options] SP entries CRLF`: the examples of the RFC have the options behind the mailbox, its grammar before it, and
 * clients do either.
 */
export function readGetMetadataArgs(input: TokenReader): GetMetadataArgs {
  const options: Options = {}
  input.sp()
  if (input.tryChar('(')) {
    readOptions(input, options)
    input.sp()
  }
  const mailbox = input.mailbox()
  input.sp()
  let isList = input.tryChar('(')
  if (isList && !'/"{'.includes(input.peek())) {
    readOptions(input, options)
    input.sp()
    isList = input.tryChar('(')
  }
  const entries = [readEntry(input)]
  while (input.tryChar(' ')) entries.push(readEntry(input))
  if (isList) input.char(')', 'entries')
  input.end()
  return { mailbox, maxOctets: options.maxOctets, depth: options.depth ?? 0, entries: [...new Set(entries)] }
}

interface Options {
  maxOctets?: number
  depth?: GetMetadataArgs['depth']
}

/** Behind the parenthesis. */
function readOptions(input: TokenReader, options: Options): void {
  do {
    const word = input.keyword('getmetadata-option')
    if (word !== 'MAXSIZE' && word !== 'DEPTH') throw input.tokenFault('getmetadata-option', 'MAXSIZE or DEPTH')
    input.sp()
    if (word === 'MAXSIZE') options.maxOctets = input.number()
    else options.depth = readDepth(input)
  } while (input.tryChar(' '))
  input.char(')', 'getmetadata-options')
}

function readDepth(input: TokenReader): GetMetadataArgs['depth'] {
  const word = input.keyword('scope-opt')
  if (word === '0') return 0
  if (word === '1') return 1
  if (word !== 'INFINITY') throw input.tokenFault('scope-opt', '0, 1 or infinity')
  return 'infinity'
}

/** `SP mailbox SP "(" entry SP value *(SP entry SP value) ")" CRLF` */
export function readSetMetadataArgs(input: TokenReader): SetMetadataArgs {
  input.sp()
  const mailbox = input.mailbox()
  input.sp()
  const pairs = input.parenthesised('entry-values', () => {
    const entry = readEntry(input)
    if (entry.lastIndexOf('/') === 0) throw input.tokenFault('entry', 'a name below /private/ or /shared/')
    input.sp()
    return [entry, input.nstring8('value')] as const
  })
  input.end()
  return { mailbox, values: new Map(pairs) }
}

/** Of these paths, in lower case. */
function readEntry(input: TokenReader): string {
  const entry = input.astring('entry').toLowerCase()
  if (!isMetadataEntry(entry))
    throw input.tokenFault('entry', `a path such as /private/comment of at most ${maxEntryChars} characters`)
  return entry
}

/** `* METADATA INBOX (/shared/comment "Shared comment" /private/comment NIL)`; the name in Unicode, at least one entry. */
export function formatMetadata(
  spelling: NameSpelling,
  mailbox: string,
  entries: readonly (readonly [entry: string, value: string | undefined])[],
): string {
  const list = entries.map(([entry, value]) => `${formatAstring(entry)} ${formatValue(value)}`)
  return `* METADATA ${formatName(spelling, mailbox)} (${list.join(' ')})\r\n`
}

/** What has NUL can only be a literal8, which is what brought it. */
const formatValue = (value: string | undefined) =>
  value?.includes('\0') === true ? `~{${value.length}}\r\n${value}` : formatNstring(value)

/** `* METADATA INBOX /shared/comment /private/comment`: they have changed. RFC 5464 §4.4.2 */
export function formatMetadataNames(spelling: NameSpelling, mailbox: string, entries: Iterable<string>): string {
  return `* METADATA ${formatName(spelling, mailbox)} ${Array.from(entries, formatAstring).join(' ')}\r\n`
}

const formatName = (spelling: NameSpelling, mailbox: string) =>
  mailbox === '' ? '""' : formatMailbox(mailbox, spelling)
