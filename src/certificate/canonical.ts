/**
 * The one spelling of a JSON value that is hashed and signed: RFC 8785, as far as certificates need it (no numbers but integers, which every language
 * spells alike). Properties in the order of their UTF-16 code units, no blanks, UTF-8.
 */
import type { Json } from '../events/types.ts'

/** Throws RangeError for what has no such spelling: a fraction, an integer beyond 2^53, half a surrogate pair. */
export const canonical = (value: Json): string => {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`
  if (typeof value === 'object' && value !== null)
    return `{${Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, member]) => `${text(name)}:${canonical(member)}`)
      .join(',')}}`
  if (typeof value === 'string') return text(value)
  if (typeof value === 'number' && !Number.isSafeInteger(value)) throw new RangeError(`${value} is no safe integer`)
  return JSON.stringify(value)
}

const text = (value: string): string => {
  if (!value.isWellFormed()) throw new RangeError('half a surrogate pair has no spelling in UTF-8')
  return JSON.stringify(value)
}
