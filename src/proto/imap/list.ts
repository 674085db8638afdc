/**
 * LIST and LSUB. RFC 9051 §6.3.9, RFC 3501 §6.3.8, §6.3.9, §9 rules list, lsub, mailbox-list; RFC 5258 §6 (LIST-EXTENDED), RFC 3348 (CHILDREN),
 * RFC 6154 §6 (SPECIAL-USE), RFC 5819 §4 (LIST-STATUS), RFC 8440 §5 (LIST-MYRIGHTS)
 */

import { hierarchyDelimiter } from './list-pattern.ts'
import { MailboxNameFault, type NameSpelling } from './mailbox-name.ts'
import { readStatusItems, type StatusItem } from './status.ts'
import { formatMailbox, formatString } from './strings.ts'
import type { TokenReader } from './token-reader.ts'

/** Of LSUB. */
export interface ListArgs {
  /** Unicode; usually empty. */
  readonly reference: string
  /** Unicode, wildcards in it; empty asks for the delimiter. */
  readonly pattern: string
}

/** What a mailbox can have to be to be listed. */
const criteria = ['SUBSCRIBED', 'SPECIAL-USE'] as const
export type ListCriterion = (typeof criteria)[number]

export interface ExtendedListArgs {
  /** Unicode; usually empty. */
  readonly reference: string
  /** Unicode, wildcards in them, each once; those that no mailbox can match are left out. */
  readonly patterns: readonly string[]
  /** In a form of RFC 5258. Otherwise an empty pattern asks for the delimiter. */
  readonly isExtended: boolean
  /** Every one has to be met. */
  readonly criteria: readonly ListCriterion[]
  /** Levels above what meets the criteria are wanted as well. Never without a criterion. */
  readonly recursive: boolean
  /** What is told with each mailbox. CHILDREN and SPECIAL-USE are told anyway. */
  readonly returns: {
    readonly subscribed: boolean
    readonly myRights: boolean
    /** Undefined: no STATUS is wanted. */
    readonly status: readonly StatusItem[] | undefined
  }
}

/** `[SP list-select-opts] SP mailbox SP mbox-or-pat [SP list-return-opts] CRLF` */
export function readExtendedListArgs(input: TokenReader): ExtendedListArgs {
  input.sp()
  const hasSelection = input.peek() === '('
  const selection = hasSelection ? readSelection(input) : []
  if (hasSelection) input.sp()
  const reference = findName(() => input.mailbox())
  input.sp()
  const hasPatterns = input.peek() === '('
  const readPattern = () => findName(() => input.listMailbox())
  const read = hasPatterns ? input.parenthesised('patterns', readPattern) : [readPattern()]
  const hasReturns = input.tryChar(' ')
  const returns = hasReturns ? readReturns(input) : { subscribed: false, myRights: false, status: undefined }
  input.end()
  const isExtended = hasSelection || hasPatterns || hasReturns
  const patterns = read.filter((pattern) => pattern !== undefined).filter((pattern) => !isExtended || pattern !== '')
  return {
    reference: reference ?? '',
    patterns: reference === undefined ? [] : [...new Set(patterns)],
    isExtended,
    criteria: criteria.filter((criterion) => selection.includes(criterion)),
    recursive: selection.includes('RECURSIVEMATCH'),
    // RFC 5258 §3.1: the selection option implies the return option.
    returns: { ...returns, subscribed: returns.subscribed || selection.includes('SUBSCRIBED') },
  }
}

/** REMOTE asks for mailboxes of other servers besides: there are none. */
const selectOptions = ['SUBSCRIBED', 'REMOTE', 'RECURSIVEMATCH', 'SPECIAL-USE'] as const

function readSelection(input: TokenReader): readonly (typeof selectOptions)[number][] {
  const options = input.parenthesised('list-select-opt', () => oneOf(selectOptions, 'list-select-opt', input), {
    empty: true,
  })
  if (options.includes('RECURSIVEMATCH') && !criteria.some((criterion) => options.includes(criterion)))
    throw input.fault('list-select-opts', `${criteria.join(' or ')} beside RECURSIVEMATCH`)
  return options
}

const returnOptions = ['SUBSCRIBED', 'CHILDREN', 'SPECIAL-USE', 'STATUS', 'MYRIGHTS'] as const

function readReturns(input: TokenReader): ExtendedListArgs['returns'] {
  if (!input.tryWord('RETURN')) throw input.fault('list-return-opts', 'RETURN')
  input.sp()
  let status: readonly StatusItem[] | undefined
  const readOption = () => {
    const option = oneOf(returnOptions, 'return-option', input)
    if (option === 'STATUS') {
      input.sp()
      status = readStatusItems(input)
    }
    return option
  }
  const options = input.parenthesised('return-option', readOption, { empty: true })
  return { subscribed: options.includes('SUBSCRIBED'), myRights: options.includes('MYRIGHTS'), status }
}

function oneOf<Option extends string>(known: readonly Option[], rule: string, input: TokenReader): Option {
  const word = input.keyword(rule)
  const option = known.find((option) => option === word)
  if (option === undefined) throw input.tokenFault(rule, known.join(' or '))
  return option
}

/** `SP mailbox SP list-mailbox CRLF`; undefined when no mailbox can have such a name. */
export function readListArgs(input: TokenReader): ListArgs | undefined {
  input.sp()
  const reference = findName(() => input.mailbox())
  input.sp()
  const pattern = findName(() => input.listMailbox())
  input.end()
  return reference === undefined || pattern === undefined ? undefined : { reference, pattern }
}

function findName(read: () => string): string | undefined {
  try {
    return read()
  } catch (error) {
    if (error instanceof MailboxNameFault) return undefined
    throw error
  }
}

/** `* LIST (\HasNoChildren) "/" Sent`; the name in Unicode. `below`: criteria that something below it meets (CHILDINFO, RFC 5258 §3.5); `oldName`: that the client knows it by (RFC 9051 §6.3.9.7). */
export function formatListLine(
  spelling: NameSpelling,
  word: 'LIST' | 'LSUB',
  attributes: readonly string[],
  name: string,
  { below = [], oldName }: { readonly below?: readonly ListCriterion[]; readonly oldName?: string | undefined } = {},
): string {
  const items = [
    ...(below.length === 0 ? [] : [`"CHILDINFO" (${below.map(formatString).join(' ')})`]),
    ...(oldName === undefined ? [] : [`"OLDNAME" (${formatMailbox(oldName, spelling)})`]),
  ]
  const extended = items.length === 0 ? '' : ` (${items.join(' ')})`
  return `* ${word} (${attributes.join(' ')}) "${hierarchyDelimiter}" ${formatMailbox(name, spelling)}${extended}\r\n`
}
