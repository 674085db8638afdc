/** Less and more. RFC 5231 */

import { asciiNumeric } from '../comparators.ts'
import type { Comparator, Extension, Matcher } from '../language.ts'

const operators: Readonly<Record<string, (order: number) => boolean>> = {
  gt: (order) => order > 0,
  ge: (order) => order >= 0,
  lt: (order) => order < 0,
  le: (order) => order <= 0,
  eq: (order) => order === 0,
  ne: (order) => order !== 0,
}

const matcher = (key: string, comparator: Comparator, operator: string | undefined): Matcher => {
  const decide = operators[operator!.toLowerCase()]!
  return { matches: (value) => decide(comparator.order(value, key)) }
}

const checkOperator = (operator: string): string | undefined =>
  Object.hasOwn(operators, operator.toLowerCase())
    ? undefined
    : `"${operator.slice(0, 20)}" is no relation: use one of ${Object.keys(operators).join(', ')}`

export const relational: Extension = {
  capability: 'relational',
  matchTypes: [
    { name: 'value', value: 'string', matcher, checkOperator },
    { name: 'count', value: 'string', counts: true, matcher, checkOperator },
  ],
}

/** Needs to be required like an extension. RFC 5228 §2.7.3 */
export const comparatorAsciiNumeric: Extension = {
  capability: 'comparator-i;ascii-numeric',
  comparators: [asciiNumeric],
}
