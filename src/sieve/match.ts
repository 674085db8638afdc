/** Values against keys. RFC 5228 §2.7 */

import type { Answer, Comparator, Matcher, Matching, MatchType, Run, Texts } from './language.ts'

/** A key that its match type can't use; the message says why. */
export class BadKey extends Error {
  override readonly name = 'BadKey'
}

export interface MatchingParts {
  readonly type: MatchType
  readonly comparator: Comparator
  readonly operator: string | undefined
  readonly keys: Texts
  readonly keysOf: ((key: string) => readonly string[]) | undefined
  readonly budget: MatcherBudget
}

/** For the matchers of all constant keys of a script, in instructions (`Matcher.size`). */
export interface MatcherBudget {
  left: number
}

/** Throws `BadKey` when one of the constant keys is one. */
export function makeMatching(parts: MatchingParts): Matching {
  return new KeyMatching(parts)
}

/** Characters that count as one step. */
const stepShift = 6

class KeyMatching implements Matching {
  readonly counts: boolean
  readonly #parts: MatchingParts
  /** undefined: the keys have variables. */
  readonly #matchers: readonly Matcher[] | undefined
  /** Of `:is`: the keys, folded. */
  readonly #folded: ReadonlySet<string> | undefined

  constructor(parts: MatchingParts) {
    this.#parts = parts
    this.counts = parts.type.counts === true
    const { constant: given } = parts.keys
    if (given === undefined) return
    const constant = this.#keys(given)
    if (parts.type.name === 'is') this.#folded = new Set(constant.map((key) => parts.comparator.fold(key)))
    else this.#matchers = constant.map((key) => this.#constantMatcher(key))
  }

  any(values: readonly string[], run: Run): Answer<boolean> {
    if (this.counts) return this.#compare([String(values.length)], run)
    if (this.#folded === undefined) return this.#compare(values, run)
    const { comparator } = this.#parts
    for (const value of values) {
      run.spend(1 + (value.length >> stepShift))
      if (this.#folded.has(comparator.fold(value))) return true
    }
    return false
  }

  #compare(values: readonly string[], run: Run): Answer<boolean> {
    if (values.length === 0) return false
    const matchers = this.#matchers ?? this.#variableMatchers(run)
    const { comparator } = this.#parts
    for (let index = 0; index < values.length; index++) {
      const value = values[index]!
      const folded = comparator.fold(value)
      for (let key = 0; key < matchers.length; key++) {
        run.spend(1 + (value.length >> stepShift))
        if (run.isTired) return this.#compareSlowly(values, matchers, index, key, run)
        const answer = matchers[key]!.matches(value, folded, run)
        if (answer === true) return true
        if (answer !== false) return this.#compareRest(answer, values, matchers, index, key, run)
      }
    }
    return false
  }

  async #compareRest(
    answer: Promise<boolean>,
    values: readonly string[],
    matchers: readonly Matcher[],
    index: number,
    key: number,
    run: Run,
  ): Promise<boolean> {
    return (await answer) || this.#compareSlowly(values, matchers, index, key + 1, run)
  }

  /** From a place in the lists on, with pauses. */
  async #compareSlowly(
    values: readonly string[],
    matchers: readonly Matcher[],
    index: number,
    key: number,
    run: Run,
  ): Promise<boolean> {
    let nextKey = key
    for (const value of values.slice(index)) {
      const folded = this.#parts.comparator.fold(value)
      for (const matcher of matchers.slice(nextKey)) {
        run.spend(1 + (value.length >> stepShift))
        if (run.isTired) await run.breathe()
        if (await matcher.matches(value, folded, run)) return true
      }
      nextKey = 0
    }
    return false
  }

  #variableMatchers(run: Run): readonly Matcher[] {
    const { keys } = this.#parts
    try {
      const given = this.#keys(keys.of(run))
      run.spend(given.length * 20)
      return given.map((key) => {
        const matcher = this.#matcher(key)
        run.spend((matcher.size ?? 0) >> 2)
        return matcher
      })
    } catch (error) {
      if (error instanceof BadKey) return run.fail(keys.position, error.message)
      throw error
    }
  }

  #keys(given: readonly string[]): readonly string[] {
    const { keysOf } = this.#parts
    return keysOf === undefined ? given : given.flatMap(keysOf)
  }

  #constantMatcher(key: string): Matcher {
    const { budget } = this.#parts
    const matcher = budget.left < 0 ? undefined : this.#matcher(key)
    budget.left -= matcher?.size ?? 0
    if (matcher === undefined || budget.left < 0)
      throw new BadKey(
        'the regular expressions of the script are too large together: use fewer repetitions, or fewer of them',
      )
    return matcher
  }

  #matcher(key: string): Matcher {
    const { type, comparator, operator } = this.#parts
    return type.matcher(key, comparator, operator)
  }
}
