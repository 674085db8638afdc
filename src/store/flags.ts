/** Flags and keywords of messages: one spelling each, and one shared set for all messages that have the same ones. RFC 9051 §2.3.2 */

import { StoreError } from '../base/errors.ts'
import type { Flag } from './types.ts'

const systemFlags = new Map(
  ['\\Answered', '\\Flagged', '\\Deleted', '\\Seen', '\\Draft'].map((flag) => [flag.toLowerCase(), flag]),
)
const maxKeywordLength = 255
const maxKeywords = 1000
/** The `atom` of RFC 9051 §9: no controls, space, or atom-specials. */
const atom = /^[^\x00-\x20\x7f-\uffff(){%*"\\\]]+$/

export type FlagMode = 'set' | 'add' | 'remove'

const none: ReadonlySet<Flag> = new Set()

/** The spellings and sets of one mailbox. */
export class FlagTable {
  /** Keywords in use or used before, in the spelling that came first. */
  keywords: ReadonlySet<Flag> = new Set()
  private readonly spelling = new Map(systemFlags)
  private readonly sets = new Map<string, ReadonlySet<Flag>>([['', none]])

  /** The flags in their own spelling. \Recent is dropped: it belongs to sessions. Throws StoreError invalid or limit. */
  canonical(flags: Iterable<Flag>): Flag[] {
    const canonical = new Set<Flag>()
    let added = 0
    for (const flag of flags) {
      const key = flag.toLowerCase()
      if (key === '\\recent') continue
      const known = this.spelling.get(key)
      if (known === undefined) {
        if (flag.startsWith('\\')) throw new StoreError('invalid', 'A system flag is none of those that can be stored')
        if (flag.length > maxKeywordLength || !atom.test(flag))
          throw new StoreError('invalid', `A keyword is not an atom of at most ${maxKeywordLength} characters`)
        added += 1
        if (this.keywords.size + added > maxKeywords)
          throw new StoreError('limit', `A mailbox can have ${maxKeywords} keywords; use one of those it has`)
      }
      canonical.add(known ?? flag)
    }
    return [...canonical]
  }

  /** The shared set of these flags; keywords not seen before are remembered. */
  set(flags: Iterable<Flag>): ReadonlySet<Flag> {
    const spelled = new Set<Flag>()
    for (const flag of flags) spelled.add(this.learn(flag))
    const key = [...spelled].sort().join(' ')
    let shared = this.sets.get(key)
    if (shared === undefined) {
      shared = spelled
      this.sets.set(key, shared)
    }
    return shared
  }

  /** What a change makes of a set. Answers the same set when nothing changes. */
  changed(from: ReadonlySet<Flag>, mode: FlagMode, flags: ReadonlySet<Flag>): ReadonlySet<Flag> {
    if (mode === 'set') return flags
    if (mode === 'add') return this.set([...from, ...flags])
    return this.set([...from].filter((flag) => !flags.has(flag)))
  }

  private learn(flag: Flag): Flag {
    const key = flag.toLowerCase()
    const known = this.spelling.get(key)
    if (known !== undefined) return known
    this.spelling.set(key, flag)
    this.keywords = new Set([...this.keywords, flag])
    return flag
  }
}
