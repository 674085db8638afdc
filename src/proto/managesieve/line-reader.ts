/**
 * Lines of a client, or of a server, with their literals, from octets that arrive in any pieces. Nobody is asked before a literal is sent ({n+}), so one that is too large
 * is read and forgotten, as far as that is bearable: the line then fails, and the next one is where the client thinks it is.
 */
import { SyntaxFault } from '../../base/errors.ts'
import { OctetQueue } from '../octet-queue.ts'
import { readLine } from './line.ts'
import type { Speaker, Token } from './token.ts'

export interface LineLimits {
  /** Of all literals of a line that are kept. */
  readonly literalOctets: number
  /** Of all literals of a line that are read and forgotten; more ends the connection. */
  readonly forgottenOctets: number
}

/** Longest line, or part of one between literals, its end counted. */
export const maxLineOctets = 10_240

const endingPattern = /\{([0-9]{1,10})\+?\}$/

/** A literal was larger than is taken; it has been skipped. */
export class TooLarge extends SyntaxFault {
  /** What came before it in the line. */
  readonly tokens: readonly Token[]
  readonly octets: number

  constructor(tokens: readonly Token[], octets: number, limit: number) {
    super(`a literal of ${octets} octets is more than the ${limit} that are taken here`, 'literal-c2s')
    this.tokens = tokens
    this.octets = octets
  }
}

/** Where the client's next command begins can't be told any more: the connection has to end. */
export class OutOfStep extends SyntaxFault {}

export class LineReader {
  limits: LineLimits
  readonly #queue = new OctetQueue()
  readonly #speaker: Speaker
  #tokens: Token[] = []
  /** Octets of the literal that is being received. */
  #literal: number | undefined
  #kept = 0
  #forgotten = 0
  /** Still to be forgotten of the literal that is being received. */
  #toForget = 0
  /** Why the line fails when it is complete. */
  #fault: SyntaxFault | undefined

  constructor(limits: LineLimits, speaker: Speaker = 'client') {
    this.limits = limits
    this.#speaker = speaker
  }

  push(octets: Buffer): void {
    this.#queue.push(octets)
  }

  /** Octets received behind the last line. */
  get pending(): number {
    return this.#queue.length
  }

  /**
   * The next line, or undefined when none is complete; an empty line has no tokens. Throws SyntaxFault for a line that is none, which is behind then, TooLarge,
   * and OutOfStep.
   */
  next(): readonly Token[] | undefined {
    for (;;) {
      if (!this.#passLiteral()) return undefined
      const octets = this.#queue.takeLine()
      if ((octets ?? this.#queue).length > maxLineOctets)
        throw new OutOfStep(`a line has at most ${maxLineOctets} octets: use literals`, 'command')
      if (octets === undefined) return undefined
      if (!this.#readPart(octets.subarray(0, octets.at(-2) === 0x0d ? -2 : -1))) continue
      const [tokens, fault] = [this.#tokens, this.#fault]
      this.#tokens = []
      this.#fault = undefined
      this.#kept = 0
      this.#forgotten = 0
      if (fault !== undefined) throw fault
      return tokens
    }
  }

  /** False when more has to come. */
  #passLiteral(): boolean {
    while (this.#toForget > 0) {
      const taken = this.#queue.take(this.#toForget)
      if (taken === undefined) return false
      this.#toForget -= taken.length
    }
    if (this.#literal === undefined) return true
    if (this.#queue.length < this.#literal) return false
    this.#tokens.push({ type: 'string', octets: this.#queue.takeExactly(this.#literal) })
    this.#literal = undefined
    return true
  }

  /** True when the line is complete. */
  #readPart(octets: Buffer): boolean {
    // Behind a literal there is the end of the line or a space.
    const goesOn = this.#tokens.length > 0 || this.#fault !== undefined
    if (goesOn && octets.length === 0) return true
    let literal: number | undefined
    try {
      const isSpaced = goesOn && octets[0] === 0x20
      if (goesOn && !isSpaced && this.#speaker === 'client')
        throw new SyntaxFault('a space or the end of the line is expected behind a literal', 'command')
      const part = readLine(isSpaced ? octets.subarray(1) : octets, this.#speaker)
      this.#tokens.push(...part.tokens)
      literal = part.literal
    } catch (error) {
      if (!(error instanceof SyntaxFault)) throw error
      this.#fault ??= error
      // What follows would be taken for commands.
      const announced = endingPattern.exec(octets.toString('latin1', Math.max(0, octets.length - 16)))
      literal = announced === null ? undefined : Number(announced[1])
    }
    if (literal === undefined) return true
    this.#announce(literal)
    return false
  }

  #announce(octets: number): void {
    const { literalOctets, forgottenOctets } = this.limits
    if (this.#fault === undefined && this.#kept + octets <= literalOctets) {
      this.#kept += octets
      this.#literal = octets
      return
    }
    this.#forgotten += octets
    const fault = new TooLarge(this.#tokens, octets, literalOctets)
    if (this.#forgotten > forgottenOctets) throw new OutOfStep(fault.message, fault.rule)
    this.#fault ??= fault
    this.#toForget = octets
  }
}
