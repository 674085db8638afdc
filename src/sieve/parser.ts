/**
 * Script to commands. RFC 5228 §8.2. Behind a fault it goes on with the next command, so that an author hears of several at once. Depth is bounded, and every token is
 * looked at once.
 */

import { ScriptLexer, type Token, Unreadable } from './lexer.ts'
import { scriptLimits } from './limits.ts'
import type { Argument, GivenString, Node } from './syntax.ts'
import type { Position, ScriptProblem } from './types.ts'

export interface Parsed {
  readonly commands: readonly Node[]
  readonly problems: readonly ScriptProblem[]
}

export function parse(octets: Uint8Array): Parsed {
  const problems: ScriptProblem[] = []
  const commands: Node[] = []
  try {
    new Parser(new ScriptLexer(octets), problems).script(commands)
  } catch (error) {
    if (!(error instanceof Unreadable)) throw error
    problems.push(error.problem)
  }
  return { commands, problems }
}

/** A command that is not as it should be; the parser goes on behind it. */
class Fault extends Error {
  override readonly name = 'Fault'
  readonly position: Position

  constructor(position: Position, text: string) {
    super(text)
    this.position = position
  }
}

class Parser {
  readonly #lexer: ScriptLexer
  readonly #problems: ScriptProblem[]
  #token: Token
  #depth = 0
  #nodes = 0

  constructor(lexer: ScriptLexer, problems: ScriptProblem[]) {
    this.#lexer = lexer
    this.#problems = problems
    this.#token = lexer.next()
  }

  script(commands: Node[]): void {
    while (this.#token.type !== 'end') {
      this.#commands(commands)
      if (this.#token.type !== '}') continue
      this.#tell(this.#token, '"}" closes no block: remove it')
      this.#take()
    }
  }

  /** Up to a "}" or the end. */
  #commands(into: Node[]): void {
    while (this.#token.type !== 'end' && this.#token.type !== '}') {
      const depth = this.#depth
      try {
        into.push(this.#command())
      } catch (error) {
        if (!(error instanceof Fault)) throw error
        this.#tell(error.position, error.message)
        this.#depth = depth
        this.#skipCommand()
      }
    }
  }

  #command(): Node {
    const token = this.#token
    if (token.type !== 'identifier')
      throw new Fault(token, `${shown(token)} can't begin a command: put a command's name here`)
    this.#count(token)
    const { line, column, text: name } = token
    this.#take()
    const given = this.#arguments()
    const { tests, inList } = this.#tests()
    if (this.#token.type === '{') return { line, column, name, given, tests, inList, block: this.#block() }
    if (this.#token.type !== ';') {
      const missing = tests.length > 0 ? '"{" or ";"' : '";"'
      throw new Fault(this.#token, `${missing} is missing behind "${name}": ${shown(this.#token)} can't stand here`)
    }
    this.#take()
    return { line, column, name, given, tests, inList, block: undefined }
  }

  #block(): Node[] {
    const open = this.#token
    this.#enter(open)
    this.#take()
    const commands: Node[] = []
    this.#commands(commands)
    this.#depth--
    if (this.#token.type !== '}') throw new Fault(open, 'the block that begins here has no end: close it with "}"')
    this.#take()
    return commands
  }

  #arguments(): Argument[] {
    const given: Argument[] = []
    for (;;) {
      const token = this.#token
      const { line, column } = token
      if (token.type === 'tag') given.push({ line, column, type: 'tag', name: token.text })
      else if (token.type === 'number') given.push({ line, column, type: 'number', value: token.value })
      else if (token.type === 'string')
        given.push({ line, column, type: 'string-list', bracketed: false, items: [{ line, column, text: token.text }] })
      else if (token.type === '[') {
        given.push({ line, column, type: 'string-list', bracketed: true, items: this.#stringList() })
        continue
      } else return given
      this.#take()
    }
  }

  #stringList(): GivenString[] {
    const open = this.#token
    const items: GivenString[] = []
    do {
      this.#take()
      const token = this.#token
      if (token.type !== 'string') {
        const text =
          items.length === 0 && token.type === ']'
            ? 'a list needs at least one string'
            : `${shown(token)} can't stand in a list of strings: put a string in quotes here`
        throw new Fault(token, text)
      }
      items.push({ line: token.line, column: token.column, text: token.text })
      this.#take()
    } while (this.#token.type === ',')
    if (this.#token.type !== ']')
      throw new Fault(open, 'the list that begins here has no end: put commas between strings and close it with "]"')
    this.#take()
    return items
  }

  #tests(): { readonly tests: Node[]; readonly inList: boolean } {
    if (this.#token.type === 'identifier') return { tests: [this.#test()], inList: false }
    if (this.#token.type !== '(') return { tests: [], inList: false }
    const open = this.#token
    const tests: Node[] = []
    this.#enter(open)
    do {
      this.#take()
      tests.push(this.#test())
    } while (this.#is(','))
    this.#depth--
    if (!this.#is(')'))
      throw new Fault(
        open,
        'the list of tests that begins here has no end: put commas between tests and close it with ")"',
      )
    this.#take()
    return { tests, inList: true }
  }

  #test(): Node {
    const token = this.#token
    if (token.type !== 'identifier')
      throw new Fault(token, `${shown(token)} can't begin a test: put a test's name here`)
    this.#enter(token)
    this.#count(token)
    const { line, column, text: name } = token
    this.#take()
    const given = this.#arguments()
    const { tests, inList } = this.#tests()
    this.#depth--
    return { line, column, name, given, tests, inList, block: undefined }
  }

  /** Behind the next ";", or behind the next block when that comes first. */
  #skipCommand(): void {
    let depth = 0
    for (; this.#token.type !== 'end'; this.#take()) {
      const { type } = this.#token
      if (type === '{') depth++
      else if (type === '}' && --depth < 0) return
      if (depth === 0 && (type === ';' || type === '}')) {
        this.#take()
        return
      }
    }
  }

  #is(type: Token['type']): boolean {
    return this.#token.type === type
  }

  #take(): void {
    this.#token = this.#lexer.next()
  }

  #enter(position: Position): void {
    if (++this.#depth > scriptLimits.depth)
      throw new Unreadable({
        line: position.line,
        column: position.column,
        text: `blocks and tests lie more than ${scriptLimits.depth} deep in one another: make them flatter`,
      })
  }

  #count(position: Position): void {
    if (++this.#nodes > scriptLimits.commands)
      throw new Unreadable({
        line: position.line,
        column: position.column,
        text: `the script has more than ${scriptLimits.commands} commands and tests: divide it`,
      })
  }

  #tell({ line, column }: Position, text: string): void {
    const problem = { line, column, text }
    if (this.#problems.length >= scriptLimits.problems) throw new Unreadable(problem)
    this.#problems.push(problem)
  }
}

function shown(token: Token): string {
  switch (token.type) {
    case 'identifier':
      return `"${token.text}"`
    case 'tag':
      return `":${token.text}"`
    case 'string':
      return 'a string'
    case 'number':
      return `the number ${token.value}`
    case 'end':
      return 'the end of the script'
    default:
      return `"${token.type}"`
  }
}
