/** SORT. RFC 5256 §3, §5; DISPLAYFROM and DISPLAYTO: RFC 5957; RETURN: RFC 5267 §3 */

import { readSearchCriteria, type SearchKey } from './search.ts'
import { type ReturnOptions, readReturnOptions } from './search-return.ts'
import type { TokenReader } from './token-reader.ts'

const sortKeys = ['ARRIVAL', 'CC', 'DATE', 'DISPLAYFROM', 'DISPLAYTO', 'FROM', 'SIZE', 'SUBJECT', 'TO'] as const

export type SortKey = (typeof sortKeys)[number]

export interface SortCriterion {
  readonly key: SortKey
  /** Descending. */
  readonly reverse: boolean
}

export interface SortArgs {
  /** undefined: the client wants the SORT response. */
  readonly returned: ReturnOptions | undefined
  /** In the order of their priority; each key once. */
  readonly criteria: readonly SortCriterion[]
  /** Upper case. */
  readonly charset: string
  readonly key: SearchKey
}

/** `[SP "RETURN" SP search-return-opts] SP sort-criteria SP search-criteria CRLF` */
export function readSortArgs(input: TokenReader): SortArgs {
  const returned = readReturnOptions(input)
  input.sp()
  const criteria = input.parenthesised('sort-criteria', () => readCriterion(input))
  input.sp()
  return { returned, criteria: distinct(criteria), ...readSearchCriteria(input) }
}

function readCriterion(input: TokenReader): SortCriterion {
  const word = input.keyword('sort-criterion')
  const reverse = word === 'REVERSE'
  if (reverse) input.sp()
  const name = reverse ? input.keyword('sort-key') : word
  const key = sortKeys.find((known) => known === name)
  if (key === undefined) throw input.tokenFault('sort-key', `one of ${sortKeys.join(', ')}`)
  return { key, reverse }
}

/** A key that comes again decides nothing any more. */
function distinct(criteria: readonly SortCriterion[]): readonly SortCriterion[] {
  return criteria.filter(({ key }, index) => criteria.findIndex((other) => other.key === key) === index)
}
