/** SELECT's and EXAMINE's arguments. RFC 9051 §6.3.2; RFC 4466 §2.1 select-param; RFC 7162 §3.1.8, §3.2.5, §7 */

import { type SequenceSet, setSize, star } from './sequence-set.ts'
import type { TokenReader } from './token-reader.ts'

/** What the client knows of the mailbox from earlier on. */
export interface Resync {
  readonly uidValidity: number
  readonly modSeq: number
  /** It wants to hear of these only. */
  readonly knownUids: SequenceSet | undefined
  /** Sequence numbers, ascending, and the UID that each had, as many. */
  readonly matches: { readonly numbers: SequenceSet; readonly uids: SequenceSet } | undefined
}

export interface SelectArgs {
  /** Unicode, INBOX folded. */
  readonly mailbox: string
  readonly condstore: boolean
  readonly qresync: Resync | undefined
}

/** `SP mailbox [SP "(" select-param *(SP select-param) ")"] CRLF` */
export function readSelectArgs(input: TokenReader): SelectArgs {
  input.sp()
  const mailbox = input.mailbox()
  let condstore = false
  let qresync: Resync | undefined
  if (input.tryChar(' '))
    input.parenthesised('select-param', () => {
      const word = input.keyword('select-param')
      if (word === 'CONDSTORE') condstore = true
      else if (word === 'QRESYNC' && qresync === undefined) qresync = readResync(input)
      else throw input.tokenFault('select-param', 'CONDSTORE or QRESYNC, each once,')
    })
  input.end()
  return { mailbox, condstore, qresync }
}

/** `SP "(" uidvalidity SP mod-sequence-value [SP known-uids] [SP "(" known-sequence-set SP known-uid-set ")"] ")"` */
function readResync(input: TokenReader): Resync {
  input.sp()
  input.char('(', 'select-param')
  const uidValidity = input.nzNumber('uidvalidity')
  input.sp()
  const modSeq = input.number64('mod-sequence-value')
  let more = input.tryChar(' ')
  let knownUids: SequenceSet | undefined
  if (more && input.peek() !== '(') {
    knownUids = readKnown(input, 'known-uids')
    more = input.tryChar(' ')
  }
  const matches = more ? readMatches(input) : undefined
  input.char(')', 'select-param')
  return { uidValidity, modSeq, knownUids, matches }
}

function readMatches(input: TokenReader): Resync['matches'] {
  input.char('(', 'seq-match-data')
  const numbers = readAscending(input, 'known-sequence-set')
  input.sp()
  const uids = readAscending(input, 'known-uid-set')
  if (setSize(numbers) !== setSize(uids)) throw input.fault('seq-match-data', 'as many UIDs as sequence numbers')
  input.char(')', 'seq-match-data')
  return { numbers, uids }
}

function readKnown(input: TokenReader, rule: string): SequenceSet {
  const set = input.sequenceSet()
  if (set.some(({ first, last }) => first === star || last === star)) throw input.fault(rule, 'no * in the set')
  return set
}

function readAscending(input: TokenReader, rule: string): SequenceSet {
  const set = readKnown(input, rule)
  const isAscending = set.every(({ first, last }, at) => first <= last && (at === 0 || first > set[at - 1]!.last))
  if (!isAscending) throw input.fault(rule, 'numbers in ascending order')
  return set
}
