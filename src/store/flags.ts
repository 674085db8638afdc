/** Flags and keywords of messages: one spelling each, and one shared set for all messages that have the same ones. RFC 9051 §2.3.2 */

import { StoreError } from '../base/errors.ts'
import type { Flag } from './types.ts'

const systemFlags = new Map(
  ['\\Answered', '\\Flagged', '\\Deleted', '\\Seen', '\\Draft'].map((flag) => [flag.toLowerCase(), flag]),
)
const maxKeywordLength = 255
const maxKeywords = 1000
/** Changes kept, each as wide as three numbers. */
const maxFound = 1000
/** The `atom` of RFC 9051 §9: no controls, space, or atom-specials. */
const atom = /^[^\x00-\x20\x7f-\uffff(){%*"\\\]]+$/

export type FlagMode = 'set' | 'add' | 'remove'

/** The spellings and sets of one mailbox. */
export class FlagTable {
  /** Keywords in use or used before, in the spelling that came first. */
  keywords: ReadonlySet<Flag> = new Set()
  /** The shared sets by their number. What is there stays. */
  readonly sets: readonly ReadonlySet<Flag>[]
  private readonly spelling = new Map(systemFlags)
  private readonly numbers = new Map<string, number>()
  /** What changes made of sets: found once, not for every message. */
  private readonly found = new Map<string, number>()

  /** With the keywords and sets of a table that was kept. */
  constructor(keywords: Iterable<Flag> = [], sets: Iterable<Iterable<Flag>> = []) {
    this.sets = []
    for (const keyword of keywords) this.learn(keyword)
    for (const set of sets) this.number(set)
  }

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

  /** Number of the shared set of these flags; keywords not seen before are remembered. */
  number(flags: Iterable<Flag>): number {
    const spelled = new Set<Flag>()
    for (const flag of flags) spelled.add(this.learn(flag))
    const key = [...spelled].sort().join(' ')
    let number = this.numbers.get(key)
    if (number === undefined) {
      number = (this.sets as ReadonlySet<Flag>[]).push(spelled) - 1
      this.numbers.set(key, number)
    }
    return number
  }

  /** What a change makes of a set. Answers the same number when nothing changes. */
  changed(from: number, mode: FlagMode, flags: number): number {
    const key = `${from} ${mode} ${flags}`
    let number = this.found.get(key)
    if (number === undefined) {
      const [set, change] = [this.sets[from]!, this.sets[flags]!]
      if (mode === 'set') number = flags
      else number = this.number(mode === 'add' ? [...set, ...change] : [...set].filter((flag) => !change.has(flag)))
      if (this.found.size >= maxFound) this.found.clear()
      this.found.set(key, number)
    }
    return number
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
