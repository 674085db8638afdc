/**
 * Which orders of calls have to be tried. Two calls that touch different things can be made in either order with the same result, so of
 * all histories that differ only in the order of such calls one is enough (Mazurkiewicz traces).
 *
 * - A call that can't meet any call that another process ever makes is made at once, without a choice (a persistent set of one). What
 *   others make is learnt from the histories tried so far; when that grows so that a call was wrongly taken for such a one, everything
 *   is tried anew. Nothing is missed: a call that could meet it would come first in some history that was not tried, and all before it
 *   could be made after as well, so it would have been met, and learnt, there.
 * - Where there is a choice, a process whose next call was tried there first sleeps until another makes a call that its own can meet
 *   (sleep sets). So every trace is tried exactly once.
 */

import { uniqueName } from '#src/store/unique.ts'
import type { Call } from '../disk.ts'

/** A call in the words of all histories: what this process makes unique has the maker's name instead. */
export interface KnownCall {
  readonly key: string
  readonly changes: readonly string[]
  readonly looks: readonly string[]
  /** Directories whose names are listed, or must be none. */
  readonly lists: readonly string[]
}

const processPart = uniqueName().slice(0, 16)
const uniquePattern = new RegExp(`${processPart}[0-9a-z]+|\\b[0-9a-f]{32}\\b`, 'g')

/** Gives the calls of one history names that are the same in all of them. */
export class Names {
  private readonly owners = new Map<string, string>()
  private readonly calls = new WeakMap<Call, KnownCall>()
  private readonly before: ReadonlySet<string>

  /** `before`: unique names that were there before the history began, as they are. */
  constructor(before: ReadonlySet<string>) {
    this.before = before
  }

  of(actor: number, call: Call): KnownCall {
    let named = this.calls.get(call)
    if (named === undefined) {
      const { operation, path, from } = call
      named = knownCall(operation, this.shared(actor, path), from === undefined ? undefined : this.shared(actor, from))
      this.calls.set(call, named)
    }
    return named
  }

  private shared(actor: number, path: string): string {
    return path.replace(uniquePattern, (unique) => {
      if (this.before.has(unique)) return unique
      let owner = this.owners.get(unique)
      if (owner === undefined) {
        owner = `<${actor}>`
        this.owners.set(unique, owner)
      }
      return owner
    })
  }
}

export function uniqueNamesIn(text: string): ReadonlySet<string> {
  return new Set(text.match(uniquePattern) ?? [])
}

const known = new Map<string, KnownCall>()

function knownCall(operation: Call['operation'], path: string, from: string | undefined): KnownCall {
  const key = from === undefined ? `${operation} ${path}` : `${operation} ${from} ${path}`
  let call = known.get(key)
  if (call === undefined) {
    call = { key, ...touches(operation, path, from) }
    known.set(key, call)
  }
  return call
}

function touches(operation: Call['operation'], path: string, from: string | undefined) {
  switch (operation) {
    case 'read':
    case 'open':
    case 'read part':
    case 'status':
    // Makes durable, which matters to nobody unless the power goes.
    case 'syncDirectory':
    case 'finish':
      return { changes: [], looks: [path], lists: [] }
    case 'list':
      return { changes: [], looks: [path], lists: [path] }
    case 'link':
      return { changes: [path], looks: [from!], lists: [] }
    case 'rename':
      // Takes the place of an empty directory only.
      return { changes: [from!, path], looks: [], lists: [path] }
    case 'removeDirectory':
      return { changes: [path], looks: [], lists: [path] }
    default:
      return { changes: [path], looks: [], lists: [] }
  }
}

const parentOf = (path: string) => path.slice(0, path.lastIndexOf('/'))
const isAtOrBelow = (path: string, top: string) => path === top || path.startsWith(`${top}/`)
const meetings = new Map<KnownCall, Map<KnownCall, boolean>>()

/** The order of the two can matter. */
export function meet(one: KnownCall, other: KnownCall): boolean {
  let of = meetings.get(one)
  if (of === undefined) {
    of = new Map()
    meetings.set(one, of)
  }
  let answer = of.get(other)
  if (answer === undefined) {
    answer = disturbs(one, other) || disturbs(other, one)
    of.set(other, answer)
  }
  return answer
}

function disturbs(changer: KnownCall, other: KnownCall): boolean {
  for (const changed of changer.changes) {
    // What is changed may come or go, and with it everything below.
    for (const path of [...other.changes, ...other.looks]) if (isAtOrBelow(path, changed)) return true
    if (other.lists.includes(parentOf(changed))) return true
  }
  return false
}

/** What each process of a family of histories was seen to do. */
export class Footprints {
  private readonly of: Set<KnownCall>[]
  private privates: Map<KnownCall, boolean>[]
  /** Something was taken for private that is not: what was tried so far doesn't count. */
  wrong = false

  constructor(actors: number) {
    this.of = Array.from({ length: actors }, () => new Set())
    this.privates = Array.from({ length: actors }, () => new Map())
  }

  /** Begins anew with what was learnt. */
  again(): void {
    this.wrong = false
    this.privates = this.of.map(() => new Map())
  }

  learn(actor: number, call: KnownCall): void {
    if (this.of[actor]!.has(call)) return
    this.of[actor]!.add(call)
    for (const [index, privates] of this.privates.entries())
      if (index !== actor) for (const [one, isPrivate] of privates) if (isPrivate && meet(one, call)) this.wrong = true
  }

  isPrivate(actor: number, call: KnownCall): boolean {
    let answer = this.privates[actor]!.get(call)
    if (answer === undefined) {
      answer = this.of.every((calls, index) => index === actor || ![...calls].some((other) => meet(call, other)))
      this.privates[actor]!.set(call, answer)
    }
    return answer
  }
}
