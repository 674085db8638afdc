/** A regular expression as instructions of a machine without backtracking (Thompson, Pike). Their number is bounded; counted repetitions are written out. */

import { runLimits } from '../limits.ts'
import { BadRegex, type CharacterSet, type Expression, ordered, parseRegex } from './syntax.ts'

export type Instruction =
  | { op: 'set'; ascii: Uint8Array; set: CharacterSet }
  | { op: 'split'; first: number; second: number }
  | { op: 'jump'; to: number }
  | { op: 'save'; slot: number }
  | { op: 'line-start' | 'line-end' | 'match' }

export interface Program {
  readonly instructions: readonly Instruction[]
  /** Without the whole. */
  readonly groups: number
  /** 1 for the characters of US-ASCII that a match can begin with; undefined: any, or none at all. */
  readonly first: Uint8Array | undefined
}

/** `foldCase`: letters of both cases are the same; `all`: not only those of US-ASCII. Throws `BadRegex`. */
export function compileRegex(pattern: string, foldCase: 'none' | 'ascii' | 'all'): Program {
  const { expression, groups } = parseRegex(pattern)
  const instructions: Instruction[] = []
  const put = (instruction: Instruction) => {
    if (instructions.length >= runLimits.regexInstructions)
      throw new BadRegex('it is too large: use fewer repetitions and alternatives')
    instructions.push(instruction)
    return instruction
  }
  // Made once each: a counted repetition writes the same item many times.
  const sets = new Map<Expression, Instruction>()
  const setOf = (item: Expression & { readonly type: 'set' }): Instruction => {
    const made = sets.get(item)
    if (made !== undefined) return made
    const set = withBothCases(item.set, foldCase)
    const instruction: Instruction = { op: 'set', ascii: asciiTable(set), set }
    sets.set(item, instruction)
    return instruction
  }
  const write = (item: Expression): void => {
    switch (item.type) {
      case 'empty':
        return
      case 'set':
        put(setOf(item))
        return
      case 'line-start':
      case 'line-end':
        put({ op: item.type })
        return
      case 'sequence':
        for (const part of item.items) write(part)
        return
      case 'choice':
        writeChoice(item.items)
        return
      case 'group':
        put({ op: 'save', slot: item.index * 2 })
        write(item.item)
        put({ op: 'save', slot: item.index * 2 + 1 })
        return
      case 'repeat':
        writeRepeat(item.item, item.min, item.max)
    }
  }
  const writeChoice = (items: readonly Expression[]): void => {
    const ends: { to: number }[] = []
    for (const [index, item] of items.entries()) {
      if (index === items.length - 1) {
        write(item)
        break
      }
      const split = { op: 'split' as const, first: instructions.length + 1, second: 0 }
      put(split)
      write(item)
      const end = { op: 'jump' as const, to: 0 }
      put(end)
      ends.push(end)
      split.second = instructions.length
    }
    for (const end of ends) end.to = instructions.length
  }
  const writeRepeat = (item: Expression, min: number, max: number | undefined): void => {
    for (let times = 0; times < min; times++) write(item)
    if (max === undefined) {
      const start = instructions.length
      const split = { op: 'split' as const, first: start + 1, second: 0 }
      put(split)
      write(item)
      put({ op: 'jump', to: start })
      split.second = instructions.length
      return
    }
    const splits: { second: number }[] = []
    for (let times = min; times < max; times++) {
      const split = { op: 'split' as const, first: instructions.length + 1, second: 0 }
      put(split)
      splits.push(split)
      write(item)
    }
    for (const split of splits) split.second = instructions.length
  }
  put({ op: 'save', slot: 0 })
  write(expression)
  put({ op: 'save', slot: 1 })
  put({ op: 'match' })
  return { instructions, groups, first: firstCharacters(instructions) }
}

function firstCharacters(instructions: readonly Instruction[]): Uint8Array | undefined {
  const first = new Uint8Array(128)
  const seen = new Set<number>()
  const left = [0]
  for (let at = left.pop(); at !== undefined; at = left.pop()) {
    if (seen.has(at)) continue
    seen.add(at)
    const instruction = instructions[at]!
    switch (instruction.op) {
      case 'set':
        for (let code = 0; code < 128; code++) first[code]! |= instruction.ascii[code]!
        break
      case 'jump':
        left.push(instruction.to)
        break
      case 'split':
        left.push(instruction.first, instruction.second)
        break
      case 'save':
        left.push(at + 1)
        break
      default:
        return undefined
    }
  }
  return first
}

function withBothCases(set: CharacterSet, foldCase: 'none' | 'ascii' | 'all'): CharacterSet {
  if (foldCase === 'none') return set
  const more: (readonly [number, number])[] = [...set]
  for (const [first, last] of set) {
    for (let code = Math.max(first, 65); code <= Math.min(last, 90); code++) more.push([code + 32, code + 32])
    for (let code = Math.max(first, 97); code <= Math.min(last, 122); code++) more.push([code - 32, code - 32])
    // Of long ranges of other scripts only the ends could differ: they hold both cases already.
    if (foldCase === 'all' && last > 127 && last - first < 1024)
      for (let code = Math.max(first, 128); code <= last; code++) more.push(...otherCases(code))
  }
  return ordered(more)
}

function otherCases(code: number): (readonly [number, number])[] {
  const char = String.fromCodePoint(code)
  return [char.toUpperCase(), char.toLowerCase()]
    .filter((other) => [...other].length === 1)
    .map((other) => [other.codePointAt(0)!, other.codePointAt(0)!])
}

function asciiTable(set: CharacterSet): Uint8Array {
  const table = new Uint8Array(128)
  for (const [first, last] of set) table.fill(1, first, Math.min(last, 127) + 1)
  return table
}
