/** What renames do to the names of a tree, where whatever is below a mailbox moves along with it. RFC 9051 §6.3.6 */

/** By the name that the mailbox has before any of the renames that are done along with this one. */
export interface Rename {
  readonly from: string
  readonly to: string
}

export interface Moves {
  /** In the order in which they can be done, without what comes about by another one. */
  readonly renames: readonly Rename[]
  /** The name after all of them, of each of the names. */
  readonly after: ReadonlyMap<string, string>
}

/** A name may become free by the rename of what has it: more than a chain of so many is not followed. */
const mostRounds = 8

/** What of the wishes can be done: nothing gets a name that another has, or that another is below, and nothing moves below itself. */
export function possibleRenames(
  wishes: readonly Rename[],
  names: Iterable<string>,
  delimiter: string | undefined,
): Moves {
  const after = new Map<string, string>()
  /** How many are at a name or below it. */
  const used = new Map<string, number>()
  const put = (before: string, name: string) => {
    after.set(before, name)
    for (const level of levelsOf(name, delimiter)) used.set(level, (used.get(level) ?? 0) + 1)
  }
  const take = (name: string) => {
    for (const level of levelsOf(name, delimiter)) used.set(level, (used.get(level) ?? 0) - 1)
  }
  for (const name of names) if (!after.has(name)) put(name, name)

  const renames: Rename[] = []
  /** Answers false: not now. */
  const attempt = ({ from, to }: Rename): boolean => {
    const at = after.get(from) ?? from
    if (at === to) return true
    if ((used.get(to) ?? 0) > 0 || afterRename(to, { from: at, to }, delimiter) !== undefined) return false
    const moved = used.get(at) === 1 ? [[from, at] as const] : [...after]
    for (const [before, name] of moved) {
      const moves = afterRename(name, { from: at, to }, delimiter)
      if (moves === undefined) continue
      take(name)
      put(before, moves)
    }
    renames.push({ from, to })
    return true
  }
  // Levels above first: what is below them comes along.
  let left = wishes.toSorted((a, b) => a.from.length - b.from.length)
  for (let round = 0; round < mostRounds && left.length > 0; round += 1) left = left.filter((wish) => !attempt(wish))
  return { renames, after }
}

/** The name that a rename gives a mailbox: of its own, or of one above it. Undefined: none. */
function afterRename(name: string, { from, to }: Rename, delimiter: string | undefined): string | undefined {
  const isMoved = name === from || (delimiter !== undefined && name.startsWith(from + delimiter))
  return isMoved ? to + name.slice(from.length) : undefined
}

/** Of renames in the order of a plan: each by the name that it finds when its turn comes. */
export function inTurn(renames: readonly Rename[], delimiter: string | undefined): readonly Rename[] {
  const done: Rename[] = []
  for (const { from, to } of renames) done.push({ from: afterTurns(from, done, delimiter), to })
  return done
}

/** The name that a mailbox has after renames that were done one after the other, each by the name that it found. */
export const afterTurns = (name: string, done: readonly Rename[], delimiter: string | undefined): string =>
  done.reduce((now, rename) => afterRename(now, rename, delimiter) ?? now, name)

/** The name, and every level above it. */
function* levelsOf(name: string, delimiter: string | undefined): Generator<string, void, undefined> {
  yield name
  if (delimiter === undefined || delimiter === '') return
  for (let at = name.lastIndexOf(delimiter); at > 0; at = name.lastIndexOf(delimiter, at - 1)) yield name.slice(0, at)
}
