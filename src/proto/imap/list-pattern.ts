/** The patterns of LIST and LSUB. RFC 9051 §6.3.9, RFC 3501 §6.3.8. No regular expression: work is at most pattern times name. */

/** Between the levels of a mailbox name, everywhere. */
export const hierarchyDelimiter = '/'

/** A pattern made ready for many names. */
export class ListPattern {
  /** Runs of wildcards are one: '*' when any of them is. */
  readonly #pattern: string
  /** Chars that a name must at least have. */
  readonly #leastChars: number

  /** Reference and mailbox argument put together, Unicode. */
  constructor(pattern: string) {
    this.#pattern = pattern.replace(/[*%]{2,}/g, (run) => (run.includes('*') ? '*' : '%'))
    this.#leastChars = this.#pattern.replace(/[*%]/g, '').length
  }

  /** Whether a whole name matches. 'INBOX' as the first level matches in any case. */
  matches(name: string): boolean {
    if (name.length < this.#leastChars) return false
    const pattern = this.#pattern
    const inboxEnd = /^INBOX(?:\/|$)/.test(name) ? 5 : 0
    // reached[p]: the name so far can be spent on the first p chars of the pattern
    let reached = new Uint8Array(pattern.length + 1)
    reached[0] = 1
    stepOverWildcards(pattern, reached)
    for (let at = 0; at < name.length; at++) {
      const char = name[at]!
      const next = new Uint8Array(pattern.length + 1)
      for (let p = 0; p < pattern.length; p++) {
        if (reached[p] === 0) continue
        const wanted = pattern[p]!
        if (wanted === '*' || (wanted === '%' && char !== hierarchyDelimiter)) next[p] = 1
        else if (wanted === char || (at < inboxEnd && wanted.toUpperCase() === char)) next[p + 1] = 1
      }
      stepOverWildcards(pattern, next)
      reached = next
    }
    return reached[pattern.length] === 1
  }
}

/** A wildcard matches nothing as well. */
function stepOverWildcards(pattern: string, reached: Uint8Array): void {
  for (let p = 0; p < pattern.length; p++)
    if (reached[p] === 1 && (pattern[p] === '*' || pattern[p] === '%')) reached[p + 1] = 1
}
