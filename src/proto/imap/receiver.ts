/**
 * Push parser of a client's octets: RFC 9051 §2.2.1, §4.3, §9; RFC 7888 (LITERAL+). Knows no socket; whoever reads one
 * pushes what came and pulls events until there is none. Invariants:
 * - the octets taken are exactly those of the events given: `pending` octets lie behind the last one (STARTTLS checks this);
 * - nothing is allocated by an announced number, and what is held stays within `limits` and the octets pushed;
 * - APPEND's messages pass through as they come and are never collected;
 * - whatever is refused is skipped to the end of its command, non-synchronising literals included, so that no octet of
 *   it is ever taken for a command.
 */

import { SyntaxFault } from '../../base/errors.ts'
import { maxMetadataOctets } from '../../base/limits.ts'
import { OctetQueue } from '../octet-queue.ts'
import { findTag, readCommand } from './command-head.ts'
import type { ReceiverLimits } from './limits.ts'
import { findLiteralAnnouncement, type LiteralAnnouncement } from './literal-announcement.ts'
import type { Command, ReceiverEvent, ReceiverFault } from './receiver-events.ts'
import { TokenReader } from './token-reader.ts'

type State =
  /** Collecting a line of a command. */
  | { readonly name: 'text' }
  /** Collecting a literal. */
  | { readonly name: 'literal'; readonly sizeOctets: number }
  /** An event with a message literal is out; `accept` or `refuse` comes next. */
  | { readonly name: 'append'; readonly literal: LiteralAnnouncement }
  /** Handing on a literal of APPEND's messages. */
  | { readonly name: 'message'; left: number }
  | { readonly name: 'raw-line' }
  | Drain
  /** Gave up: whatever comes is ignored. */
  | { readonly name: 'dead' }

/** Throwing away a literal and the line behind it, and (unless it is a raw line) what that line announces in turn. */
interface Drain {
  readonly name: 'drain'
  readonly raw: boolean
  literalLeft: number
  /** Octets that may still be thrown away. */
  budget: number
  /** End of the line so far. */
  tail: string
}

/** Longer than any literal announcement within the grammar. */
const tailOctets = 64
/** As much of an overlong line as is looked at for its tag. */
const headOctets = 256
/** " URL " */
const urlOctets = 5
/** Of the start of a command: tag, UID, its name, and more than stand before a message. */
const wordsToCount = 8

interface Refusal {
  readonly status: 'BAD' | 'NO'
  readonly code: ReceiverFault['code']
  readonly text: string
}

const binaryRefusal: Refusal = {
  status: 'BAD',
  code: undefined,
  text: 'literal8: "~{" is for messages and annotations only; send a literal that starts with "{"',
}

/** Commands that bring messages, and how many arguments stand before the first: the last of them is a mailbox, which may be a literal too. */
const argumentsBeforeMessage: ReadonlyMap<string, number> = new Map([
  ['APPEND', 1],
  ['REPLACE', 2],
])

export class CommandReceiver {
  /** May be replaced at any time: the next octets are judged by it. */
  limits: ReceiverLimits
  readonly #queue = new OctetQueue()
  #state: State = { name: 'text' }
  #pieces: string[] = []
  #literals: Buffer[] = []
  #textOctets = 0
  #literalOctets = 0
  /** Of the command whose first message literal has come: the text belongs to it. */
  #uploadTag: string | undefined

  constructor(limits: ReceiverLimits) {
    this.limits = limits
  }

  /** Octets received behind the last event. After STARTTLS it must be 0. RFC 9051 §11.1 */
  get pending(): number {
    return this.#queue.length
  }

  /** Gives up the octets behind the last event, and is done: whoever takes them reads on by himself. */
  rest(): Buffer {
    this.#state = { name: 'dead' }
    return this.#queue.takeExactly(this.#queue.length)
  }

  /** Takes over `octets`. Call `next` until it answers undefined before pushing more, else the limits can't hold. */
  push(octets: Buffer): void {
    if (this.#state.name !== 'dead') this.#queue.push(octets)
  }

  /** The next event, or undefined when more octets are needed (or the receiver gave up: a fault with `close`). */
  next(): ReceiverEvent | undefined {
    for (;;) {
      const state = this.#state
      switch (state.name) {
        case 'text': {
          const event = this.#text()
          if (event !== 'more') return event
          break
        }
        case 'literal':
          if (this.#queue.length < state.sizeOctets) return undefined
          this.#literals.push(this.#queue.takeExactly(state.sizeOctets))
          this.#state = { name: 'text' }
          break
        case 'append':
          throw new Error('accept() or refuse() must follow an append event')
        case 'message': {
          if (state.left === 0) {
            this.#state = { name: 'text' }
            break
          }
          const octets = this.#queue.take(state.left)
          if (octets === undefined) return undefined
          state.left -= octets.length
          return { type: 'octets', octets }
        }
        case 'raw-line':
          return this.#rawLine()
        case 'drain': {
          const event = this.#drain(state)
          if (event !== 'done') return event
          break
        }
        case 'dead':
          return undefined
      }
    }
  }

  /** The octets up to the next CRLF are a line of their own, not a command: IDLE's DONE, AUTHENTICATE's responses. */
  expectLine(): void {
    if (this.#state.name !== 'text' || this.#pieces.length > 0 || this.#uploadTag !== undefined)
      throw new Error('expectLine() inside a command')
    this.#state = { name: 'raw-line' }
  }

  /** Takes the announced message literal: 'octets' events follow, then 'append-text' or a fault. */
  accept(): void {
    if (this.#state.name !== 'append') throw new Error('accept() without a message literal')
    this.#state = { name: 'message', left: this.#state.literal.sizeOctets }
  }

  /** Declines the messages, also in the middle of one. The caller answers the command; what still comes of it is thrown away. */
  refuse(): void {
    const state = this.#state
    if (state.name === 'append') this.#skipLiteral(state.literal)
    else if (state.name === 'message') this.#startDrain(state.left)
    else if (this.#uploadTag !== undefined) this.#startDrain(0)
    else throw new Error('refuse() without a message')
  }

  #text(): ReceiverEvent | 'more' | undefined {
    const octets = this.#queue.takeLine()
    if (this.#textOctets + (octets?.length ?? this.#queue.length) > this.limits.lineOctets)
      return this.#lineTooLong(octets)
    if (octets === undefined) return undefined
    this.#textOctets += octets.length
    const line = withoutCrlf(octets)
    if (line === undefined) {
      this.#pieces.push(octets.toString('latin1'))
      return this.#refuseText(octets, bareLf)
    }
    const literal = findLiteralAnnouncement(line)
    if (literal !== undefined) {
      this.#pieces.push(line.slice(0, literal.start))
      return this.#announced(literal)
    }
    this.#pieces.push(line)
    if (this.#uploadTag !== undefined) {
      const text = this.#taken()
      this.#reset()
      return { type: 'append-text', text, literal: undefined }
    }
    return this.#command((command) => ({ type: 'command', command }))
  }

  #lineTooLong(octets: Buffer | undefined): ReceiverFault {
    const text = `command: longer than ${this.limits.lineOctets} octets`
    if (octets !== undefined) {
      this.#pieces.push(octets.toString('latin1', 0, headOctets))
      return this.#refuseText(octets, text)
    }
    let head = ''
    while (head.length < headOctets) {
      const start = this.#queue.take(headOctets - head.length)
      if (start === undefined) break
      head += start.toString('latin1')
    }
    this.#pieces.push(head)
    const event = fault(this.#tag(), { status: 'BAD', code: undefined, text })
    this.#startDrain(0)
    return event
  }

  /** Refuses a command because of `octets`, a whole line. */
  #refuseText(octets: Buffer, text: string): ReceiverFault {
    const event = fault(this.#tag(), { status: 'BAD', code: undefined, text })
    this.#skipAnnounced(octets)
    return event
  }

  /** A line ended in a literal: says what becomes of it. */
  #announced(literal: LiteralAnnouncement): ReceiverEvent | 'more' {
    const { sizeOctets, synchronising } = literal
    const isMessage = this.#isMessage()
    const refusal = isMessage ? this.#refusalOfMessage(literal) : this.#refusalOfLiteral(literal)
    if (refusal !== undefined) {
      const event = fault(this.#tag(), refusal)
      this.#skipLiteral(literal)
      return event
    }
    if (!isMessage) {
      this.#literalOctets += sizeOctets
      this.#state = { name: 'literal', sizeOctets }
      return synchronising ? { type: 'continuation' } : 'more'
    }
    const tag = this.#tag()
    const event: ReceiverEvent =
      this.#uploadTag === undefined
        ? this.#command((command) => ({ type: 'append', command, literal }))
        : { type: 'append-text', text: this.#taken(), literal }
    if (event.type === 'fault') this.#skipLiteral(literal)
    else {
      this.#reset()
      this.#uploadTag = tag
      this.#state = { name: 'append', literal }
    }
    return event
  }

  /**
   * Whether the literal at the end of the text is octets of a message, which pass through: nothing else of these commands can be a
   * literal but the mailbox, and the URLs of CATENATE. RFC 4466 §6 append, RFC 4469 §5
   */
  #isMessage(): boolean {
    const last = this.#pieces.at(-1)!.slice(-urlOctets)
    if (this.#uploadTag !== undefined) return !/(?:^|[ (])URL $/i.test(last)
    const words = this.#pieces[0]!.split(' ', wordsToCount)
    const name = words[1]?.toUpperCase() === 'UID' ? 2 : 1
    const before = argumentsBeforeMessage.get(words[name]?.toUpperCase() ?? '')
    if (before === undefined) return false
    // A word that is complete has a space behind it, after which another begins.
    const complete = words.length - name - 2
    if (this.#literals.length === 0 && complete < before) return false
    return !(/[ (]URL $/i.test(last) && (this.#literals.length > 0 || complete > before))
  }

  #refusalOfMessage(literal: LiteralAnnouncement): Refusal | undefined {
    if (literal.sizeOctets <= this.limits.appendOctets) return undefined
    return { status: 'NO', code: 'TOOBIG', text: `message is larger than ${this.limits.appendOctets} octets` }
  }

  #refusalOfLiteral(literal: LiteralAnnouncement): Refusal | undefined {
    const isAnnotation = /^\S+ SETMETADATA /i.test(this.#pieces[0]!)
    if (literal.binary && !isAnnotation) return binaryRefusal
    const { literalOctets, literalsOctets, literals } = this.limits
    const bad = (text: string): Refusal => ({ status: 'BAD', code: undefined, text: `literal: ${text}` })
    if (this.#tag() === undefined) return bad('not allowed before tag and command')
    // RFC 5464 §4.3. Smaller ones are weighed when all of the command is there.
    if (isAnnotation && literal.sizeOctets > literalOctets)
      return {
        status: 'NO',
        code: `METADATA MAXSIZE ${maxMetadataOctets}`,
        text: `annotation is larger than ${maxMetadataOctets} octets`,
      }
    if (literal.sizeOctets > literalOctets) return bad(`larger than ${literalOctets} octets`)
    if (this.#literalOctets + literal.sizeOctets > literalsOctets)
      return bad(`the command's literals are larger than ${literalsOctets} octets together`)
    if (this.#literals.length >= literals) return bad(`more than ${literals} in one command`)
    return undefined
  }

  #rawLine(): ReceiverEvent | undefined {
    const octets = this.#queue.takeLine()
    const bad = (text: string) => fault(undefined, { status: 'BAD', code: undefined, text })
    if ((octets?.length ?? this.#queue.length) > this.limits.lineOctets) {
      this.#reset()
      if (octets === undefined) this.#startDrain(0, true)
      return bad(`line is longer than ${this.limits.lineOctets} octets`)
    }
    if (octets === undefined) return undefined
    this.#reset()
    if (withoutCrlf(octets) === undefined) return bad(bareLf)
    return { type: 'line', octets: octets.subarray(0, -2) }
  }

  /** undefined: more octets are needed. */
  #drain(state: Drain): ReceiverFault | 'done' | undefined {
    for (;;) {
      if (state.literalLeft > state.budget || state.budget < 0) {
        this.#reset()
        this.#state = { name: 'dead' }
        return { ...fault(undefined, tooMuch), close: true }
      }
      if (state.literalLeft > 0) {
        const octets = this.#queue.take(state.literalLeft)
        if (octets === undefined) return undefined
        state.literalLeft -= octets.length
        state.budget -= octets.length
        continue
      }
      const line = this.#queue.takeLine()
      // without an LF in the queue all of it belongs to the line
      const octets = line ?? this.#queue.take(Number.POSITIVE_INFINITY)
      if (octets === undefined) return undefined
      state.budget -= octets.length
      state.tail = (state.tail + octets.toString('latin1', Math.max(0, octets.length - tailOctets))).slice(-tailOctets)
      if (line === undefined) continue
      const announced = state.raw ? undefined : findLiteralAnnouncement(state.tail.replace(/\r?\n$/, ''))
      if (announced === undefined || announced.synchronising) {
        this.#reset()
        return 'done'
      }
      state.literalLeft = announced.sizeOctets
      state.tail = ''
    }
  }

  /** The command of what was collected, or the fault that it is none. */
  #command(event: (command: Command) => ReceiverEvent): ReceiverEvent {
    const tag = this.#tag()
    const text = { pieces: this.#pieces, literals: this.#literals }
    this.#reset()
    try {
      return event(readCommand(text))
    } catch (error) {
      if (error instanceof SyntaxFault) return fault(tag, { status: 'BAD', code: undefined, text: error.message })
      throw error
    }
  }

  /** What was collected, of a command that is under way. */
  #taken(): TokenReader {
    return new TokenReader({ pieces: this.#pieces, literals: this.#literals })
  }

  #tag(): string | undefined {
    return this.#uploadTag ?? findTag(this.#pieces[0] ?? '')
  }

  /** A refused literal: a synchronising one is never sent, another must be read away with the rest of its command. */
  #skipLiteral(literal: LiteralAnnouncement): void {
    if (literal.synchronising) this.#reset()
    else this.#startDrain(literal.sizeOctets)
  }

  #skipAnnounced(line: Buffer): void {
    const text = line.toString('latin1', Math.max(0, line.length - tailOctets)).replace(/\r?\n$/, '')
    const announced = findLiteralAnnouncement(text)
    if (announced === undefined) this.#reset()
    else this.#skipLiteral(announced)
  }

  #startDrain(literalLeft: number, raw = false): void {
    this.#reset()
    this.#state = { name: 'drain', raw, literalLeft, budget: this.limits.drainOctets, tail: '' }
  }

  #reset(): void {
    this.#state = { name: 'text' }
    this.#pieces = []
    this.#literals = []
    this.#textOctets = 0
    this.#literalOctets = 0
    this.#uploadTag = undefined
  }
}

/** A bare LF ends the line (else both sides wait for ever) but no command: something between may have taken it for data. */
const bareLf = 'CRLF: expected CR before LF'

const tooMuch: Refusal = { status: 'BAD', code: undefined, text: 'too much data behind a refused command' }

function withoutCrlf(line: Buffer): string | undefined {
  return line.at(-2) === 0x0d ? line.toString('latin1', 0, line.length - 2) : undefined
}

function fault(tag: string | undefined, refusal: Refusal): ReceiverFault {
  return { type: 'fault', tag, ...refusal, close: false }
}
