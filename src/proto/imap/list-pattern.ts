/** The patterns of LIST and LSUB. RFC 9051 §6.3.9, RFC 3501 §6.3.8. No regular expression: work is at most pattern times name. */

/** Between the levels of a mailbox name, everywhere. */
export const hierarchyDelimiter = '/'

/** A pattern made ready for many names. */
export class ListPattern {
  /** Runs of wildcards are one: '*' when any of them is. */
  readonly #pattern: string
  /** Chars that a name must at least have. */
  readonly #leastChars: number
  readonly #spare: readonly [Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>]

  /** Reference and mailbox argument put together, Unicode. */
  constructor(pattern: string) {
    this.#pattern = pattern.replace(/[*%]{2,}/g, (run) => (run.includes('*') ? '*' : '%'))
    this.#leastChars = this.#pattern.replace(/[*%]/g, '').length
    const positions = this.#pattern.length + 1
    this.#spare = [new Uint8Array(positions), new Uint8Array(positions)]
  }

  /** Whether a name can match that begins with one of these, or that is the level above. */
  mayMatchBelow(...prefixes: readonly string[]): boolean {
    const literal = /^[^*%]*/.exec(this.#pattern)![0]
    return prefixes.some((prefix) => prefix.startsWith(literal) || literal.startsWith(prefix))
  }

  /** Whether a whole name matches. 'INBOX' as the first level matches in any case. */
  matches(name: string): boolean {
    if (name.length < this.#leastChars) return false
    const pattern = this.#pattern
    const inboxEnd = /^INBOX(?:\/|$)/.test(name) ? 5 : 0
    // now[p]: the name so far can be spent on the first p chars of the pattern
    let now = this.#spare[0].fill(0)
    let next = this.#spare[1]
    now[0] = 1
    stepOverWildcards(pattern, now)
    for (let at = 0; at < name.length; at++) {
      const char = name[at]!
      let alive = false
      next.fill(0)
      for (let p = 0; p < pattern.length; p++) {
        if (now[p] === 0) continue
        const wanted = pattern[p]!
        if (wanted === '*' || (wanted === '%' && char !== hierarchyDelimiter)) next[p] = 1
        else if (wanted === char || (at < inboxEnd && wanted.toUpperCase() === char)) next[p + 1] = 1
        else continue
        alive = true
      }
      if (!alive) return false
      stepOverWildcards(pattern, next)
      const spent = now
      now = next
      next = spent
    }
    return now[pattern.length] === 1
  }
}

/** A wildcard matches nothing as well. */
function stepOverWildcards(pattern: string, reached: Uint8Array): void {
  for (let p = 0; p < pattern.length; p++)
    if (reached[p] === 1 && (pattern[p] === '*' || pattern[p] === '%')) reached[p + 1] = 1
}
