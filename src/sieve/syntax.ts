/** A script as the grammar sees it, before anybody asks what its words mean. RFC 5228 §8.2 */

import type { Position } from './types.ts'

export interface GivenString extends Position {
  readonly text: string
}

export type Argument = Position &
  (
    | { readonly type: 'string-list'; readonly items: readonly GivenString[]; readonly bracketed: boolean }
    | { readonly type: 'number'; readonly value: number }
    | { readonly type: 'tag'; readonly name: string }
  )

/** A command or a test. */
export interface Node extends Position {
  /** As it is written. */
  readonly name: string
  readonly given: readonly Argument[]
  readonly tests: readonly Node[]
  /** The tests stand in parentheses. */
  readonly inList: boolean
  /** undefined: it ends in a semicolon (or is a test). */
  readonly block: readonly Node[] | undefined
}
