/**
 * Runs a program over a text: all ways at once, so that time grows with the text's length times the program's and never more. Can be stopped and gone on with. Finds the leftmost match,
 * of those the longest.
 */

import type { Program } from './program.ts'
import type { CharacterSet } from './syntax.ts'

/** Where the groups begin and end, by slot. */
type Saves = readonly number[]

const noSaves: Saves = []

/** Ways that are followed: the instruction that each is at, and its groups. */
class Threads {
  readonly at: Int32Array
  readonly saves: Saves[] = []
  length = 0

  constructor(size: number) {
    this.at = new Int32Array(size)
  }

  push(instruction: number, saves: Saves): void {
    this.at[this.length] = instruction
    this.saves[this.length++] = saves
  }
}

export class Machine {
  readonly #program: Program
  readonly #text: string
  readonly #wantsGroups: boolean
  #at = 0
  #threads: Threads
  #next: Threads
  /** What is still to be added; twice as large as the program, because each instruction is looked at once and adds two at most. */
  readonly #stack: Threads
  /** Per instruction: at which character (index + 1) it was added last. */
  readonly #seen: Int32Array
  #best: Saves | undefined
  #steps = 0

  constructor(program: Program, text: string, wantsGroups: boolean) {
    const { length } = program.instructions
    this.#program = program
    this.#text = text
    this.#wantsGroups = wantsGroups
    this.#threads = new Threads(length)
    this.#next = new Threads(length)
    this.#stack = new Threads(2 * length + 2)
    this.#seen = new Int32Array(length)
  }

  /** undefined: there is more to do. */
  run(maxSteps: number): boolean | undefined {
    const limit = this.#steps + maxSteps
    for (;;) {
      if (this.#best === undefined) {
        if (this.#threads.length === 0) this.#skip()
        this.#add(0, noSaves, this.#threads)
      }
      if (this.#isOver()) return this.#best !== undefined
      this.#step(this.#text.codePointAt(this.#at)!)
      if (this.#steps > limit && !this.#isOver()) return undefined
    }
  }

  /** Steps taken. */
  get steps(): number {
    return this.#steps
  }

  /** The whole and each group, '' for those that took no part. */
  get groups(): readonly string[] {
    const best = this.#best ?? noSaves
    return Array.from({ length: this.#program.groups + 1 }, (_, index) => {
      const [start = -1, end = -1] = [best[index * 2], best[index * 2 + 1]]
      return start < 0 || end < 0 ? '' : this.#text.slice(start, end)
    })
  }

  #isOver(): boolean {
    if (this.#best !== undefined && (!this.#wantsGroups || this.#threads.length === 0)) return true
    return this.#at >= this.#text.length
  }

  /** To the next character that a match can begin with. */
  #skip(): void {
    const { first } = this.#program
    if (first === undefined) return
    const start = this.#at
    while (this.#at < this.#text.length) {
      const code = this.#text.charCodeAt(this.#at)
      if (code >= 128 || first[code] === 1) break
      this.#at++
    }
    this.#steps += (this.#at - start) >> 4
  }

  #step(code: number): void {
    const { instructions } = this.#program
    this.#at += code > 0xffff ? 2 : 1
    const threads = this.#threads
    const next = this.#next
    for (let index = 0; index < threads.length; index++) {
      this.#steps++
      const at = threads.at[index]!
      const instruction = instructions[at]!
      if (instruction.op !== 'set') continue
      const saves = threads.saves[index]!
      const fits = code < 128 ? instruction.ascii[code] === 1 : contains(instruction.set, code)
      // What begins later than a match that there is can't be the leftmost one.
      if (fits && (this.#best === undefined || saves[0]! <= this.#best[0]!)) this.#add(at + 1, saves, next)
    }
    threads.length = 0
    this.#threads = next
    this.#next = threads
  }

  /** The instruction, and all that it leads to without a character. */
  #add(start: number, saves: Saves, list: Threads): void {
    const { instructions } = this.#program
    const stack = this.#stack
    stack.push(start, saves)
    while (stack.length > 0) {
      const at = stack.at[--stack.length]!
      const groups = stack.saves[stack.length]!
      if (this.#seen[at] === this.#at + 1) continue
      this.#seen[at] = this.#at + 1
      this.#steps++
      const instruction = instructions[at]!
      switch (instruction.op) {
        case 'set':
          list.push(at, groups)
          break
        case 'jump':
          stack.push(instruction.to, groups)
          break
        case 'split':
          stack.push(instruction.second, groups)
          stack.push(instruction.first, groups)
          break
        case 'save':
          stack.push(at + 1, this.#wantsGroups ? this.#saved(groups, instruction.slot) : groups)
          break
        case 'line-start':
          if (this.#at === 0 || this.#text[this.#at - 1] === '\n') stack.push(at + 1, groups)
          break
        case 'line-end':
          if (this.#isLineEnd()) stack.push(at + 1, groups)
          break
        case 'match':
          this.#match(groups)
      }
    }
  }

  #saved(saves: Saves, slot: number): Saves {
    const copy = saves.slice()
    while (copy.length < slot) copy.push(-1)
    copy[slot] = this.#at
    this.#steps += copy.length >> 3
    return copy
  }

  #match(saves: Saves): void {
    const best = this.#best
    if (best === undefined || saves[0]! < best[0]! || (saves[0] === best[0] && saves[1]! > best[1]!)) this.#best = saves
  }

  #isLineEnd(): boolean {
    const next = this.#text[this.#at]
    return next === undefined || next === '\n' || (next === '\r' && this.#text[this.#at + 1] === '\n')
  }
}

function contains(set: CharacterSet, code: number): boolean {
  let low = 0
  let high = set.length - 1
  while (low <= high) {
    const middle = (low + high) >> 1
    const [first, last] = set[middle]!
    if (code < first) high = middle - 1
    else if (code > last) low = middle + 1
    else return true
  }
  return false
}
