/**
 * Which calls of different processes have to be tried in both orders. Two calls that touch different things can be made in either order
 * with the same result, so of all histories that differ only in the order of such calls one is enough (Mazurkiewicz traces).
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
  private readonly constants: Constants

  constructor(constants: Constants) {
    this.constants = constants
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
    if (this.constants.has(path)) return path
    return path.replace(uniquePattern, (unique) => {
      if (this.constants.before.has(unique)) return unique
      let owner = this.owners.get(unique)
      if (owner === undefined) {
        owner = `<${actor}>`
        this.owners.set(unique, owner)
      }
      return owner
    })
  }
}

/** Paths that are the same in all histories of a family. */
export class Constants {
  /** Unique names that were there before the histories began. */
  readonly before: ReadonlySet<string>
  private readonly known = new Set<string>()

  constructor(before: ReadonlySet<string>) {
    this.before = before
  }

  has(path: string): boolean {
    if (this.known.has(path)) return true
    const isConstant = (path.match(uniquePattern) ?? []).every((unique) => this.before.has(unique))
    if (isConstant) this.known.add(path)
    return isConstant
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
