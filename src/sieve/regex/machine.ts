/**
 * Runs a program over a text: all ways at once, so that time grows with the text's length times the program's and never more. Can be stopped and gone on with. Finds the leftmost match,
 * of those the longest.
 */

import type { Program } from './program.ts'
import type { CharacterSet } from './syntax.ts'

interface Thread {
  pc: number
  saves: readonly number[]
}

export class Machine {
  readonly #program: Program
  readonly #text: string
  readonly #wantsGroups: boolean
  #at = 0
  #threads: Thread[] = []
  #next: Thread[] = []
  /** Per instruction: for which character (index + 1) it is in the list already. */
  readonly #seen: Int32Array
  #best: readonly number[] | undefined
  #steps = 0
  #matched = false
  readonly #stack: Thread[] = []

  constructor(program: Program, text: string, wantsGroups: boolean) {
    this.#program = program
    this.#text = text
    this.#wantsGroups = wantsGroups
    this.#seen = new Int32Array(program.instructions.length)
  }

  /** undefined: there is more to do. */
  run(maxSteps: number): boolean | undefined {
    const limit = this.#steps + maxSteps
    for (;;) {
      if (this.#best === undefined) this.#add({ pc: 0, saves: noSaves }, this.#threads)
      if (this.#matched) return true
      if (this.#at >= this.#text.length || (this.#threads.length === 0 && this.#best !== undefined))
        return this.#best !== undefined
      const code = this.#text.codePointAt(this.#at)!
      this.#step(code)
      if (this.#matched) return true
      if (this.#steps > limit) return undefined
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

  #step(code: number): void {
    const { instructions } = this.#program
    this.#at += code > 0xffff ? 2 : 1
    const threads = this.#threads
    const next = this.#next
    for (const thread of threads) {
      this.#steps++
      const instruction = instructions[thread.pc]!
      if (instruction.op !== 'set') continue
      const fits = code < 128 ? instruction.ascii[code] === 1 : contains(instruction.set, code)
      // What begins later than a match that there is can't be the leftmost one.
      if (fits && (this.#best === undefined || thread.saves[0]! <= this.#best[0]!))
        this.#add({ pc: thread.pc + 1, saves: thread.saves }, next)
      if (this.#matched) return
    }
    threads.length = 0
    this.#threads = next
    this.#next = threads
  }

  /** The thread, and all that it leads to without a character. */
  #add(thread: Thread, list: Thread[]): void {
    const { instructions } = this.#program
    const stack = this.#stack
    stack.push(thread)
    for (let top = stack.pop(); top !== undefined; top = stack.pop()) {
      const { pc, saves } = top
      if (this.#seen[pc] === this.#at + 1) continue
      this.#seen[pc] = this.#at + 1
      this.#steps++
      const instruction = instructions[pc]!
      switch (instruction.op) {
        case 'set':
          list.push(top)
          break
        case 'jump':
          stack.push({ pc: instruction.to, saves })
          break
        case 'split':
          stack.push({ pc: instruction.second, saves }, { pc: instruction.first, saves })
          break
        case 'save':
          stack.push({ pc: pc + 1, saves: this.#saved(saves, instruction.slot) })
          break
        case 'line-start':
          if (this.#at === 0 || this.#text[this.#at - 1] === '\n') stack.push({ pc: pc + 1, saves })
          break
        case 'line-end':
          if (this.#isLineEnd()) stack.push({ pc: pc + 1, saves })
          break
        case 'match':
          this.#match(saves)
      }
      if (this.#matched) {
        stack.length = 0
        return
      }
    }
  }

  #saved(saves: readonly number[], slot: number): readonly number[] {
    if (!this.#wantsGroups && slot > 0) return saves
    const copy = saves.slice()
    while (copy.length < slot) copy.push(-1)
    copy[slot] = this.#at
    return copy
  }

  #match(saves: readonly number[]): void {
    if (!this.#wantsGroups) {
      this.#matched = true
      this.#best = saves
      return
    }
    const best = this.#best
    if (best === undefined || saves[0]! < best[0]! || (saves[0] === best[0] && saves[1]! > best[1]!)) this.#best = saves
  }

  #isLineEnd(): boolean {
    const next = this.#text[this.#at]
    return next === undefined || next === '\n' || (next === '\r' && this.#text[this.#at + 1] === '\n')
  }
}

const noSaves: readonly number[] = []

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
