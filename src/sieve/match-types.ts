/** The match types that every script has. RFC 5228 §2.7.1 */

import { foldedCharacters } from './comparators.ts'
import { globGroups, hasSingle, matchGlob, parseGlob } from './glob.ts'
import type { Comparator, Matcher, MatchType, Run } from './language.ts'
import { fromOctetString, isAscii, octetString } from './text.ts'

export const is: MatchType = {
  name: 'is',
  matcher(key, comparator) {
    const wanted = comparator.fold(key)
    return { matches: (_, folded) => folded === wanted }
  },
}

export const contains: MatchType = {
  name: 'contains',
  substring: true,
  matcher(key, comparator) {
    const wanted = comparator.fold(key)
    return { matches: (_, folded) => folded.includes(wanted) }
  },
}

export const matches: MatchType = {
  name: 'matches',
  substring: true,
  matcher: (key, comparator) => (comparator.character === 'octet' ? octetGlob(key, comparator) : characterGlob(key)),
}

/** "?" is one octet; that makes a difference only when there is one and something outside of US-ASCII. */
function octetGlob(pattern: string, comparator: Comparator): Matcher {
  const glob = parseGlob(comparator.fold(pattern))
  const looksAtOctets = hasSingle(glob)
  const octetGlob = looksAtOctets && !isAscii(pattern) ? parseGlob(octetString(comparator.fold(pattern))) : glob
  return {
    matches(value, folded, run) {
      if (!looksAtOctets || isAscii(value)) {
        const starts = matchGlob(glob, folded)
        if (starts === undefined) return false
        if (run.has('variables')) run.matched([value, ...globGroups(glob, value, starts)])
        return true
      }
      const starts = matchGlob(octetGlob, octetString(folded))
      if (starts === undefined) return false
      if (run.has('variables'))
        run.matched([value, ...globGroups(octetGlob, octetString(value), starts).map(fromOctetString)])
      return true
    },
  }
}

function characterGlob(pattern: string): Matcher {
  const glob = parseGlob(foldedCharacters(pattern).folded)
  return {
    matches(value: string, _: string, run: Run) {
      const { plain, folded } = foldedCharacters(value)
      const starts = matchGlob(glob, folded)
      if (starts === undefined) return false
      if (run.has('variables')) run.matched([value, ...globGroups(glob, plain, starts)])
      return true
    },
  }
}
