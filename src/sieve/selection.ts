/** `:index` and `:last`: which of several fields of one name a test looks at. RFC 5260 §6 */

import type { Arguments } from './language.ts'

/** Of the list (the fields of one name, in their order), what the tags choose; all without them. */
export function selectFields(given: Arguments): <T>(fields: readonly T[]) => readonly T[] {
  const index = given.findNumber('index')
  if (index === undefined) return (fields) => fields
  const isLast = given.has('last')
  return (fields) => {
    const at = isLast ? fields.length - index : index - 1
    return at >= 0 && at < fields.length ? [fields[at]!] : []
  }
}
