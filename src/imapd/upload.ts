/** Messages on their way in: the literals of one command, in the order in which they come, and the text between them. */

import type { MessageLiteral, ReceiverEvent } from '../proto/imap/receiver-events.ts'
import { formatContinuation } from '../proto/imap/response.ts'
import type { TokenReader } from '../proto/imap/token-reader.ts'
import type { Output } from '../server/output.ts'
import type { Input } from './input.ts'
import { Refusal } from './replies.ts'

export class Upload {
  readonly #input: Input
  readonly #output: Output
  #literal: MessageLiteral | undefined
  #text: TokenReader | undefined

  constructor(append: ReceiverEvent & { type: 'append' }, input: Input, output: Output) {
    this.#literal = append.literal
    this.#input = input
    this.#output = output
  }

  /** That comes next; undefined: the command is at its end. */
  get literal(): MessageLiteral | undefined {
    return this.#literal
  }

  /** That stands behind the literal that was read last. */
  get text(): TokenReader {
    if (this.#text === undefined) throw new Error('no literal was read')
    return this.#text
  }

  /** Asks for the octets of the literal and hands them on. Throws Refusal when it or the text behind it turns out malformed. */
  async *octets(): AsyncGenerator<Buffer, void, undefined> {
    if (this.#literal === undefined) throw new Error('no literal follows')
    this.#input.accept()
    if (this.#literal.synchronising) this.#output.write(formatContinuation('OK'))
    for (;;) {
      const event = await this.#input.next()
      switch (event.type) {
        case 'octets':
          yield event.octets
          break
        case 'append-text':
          this.#literal = event.literal
          this.#text = event.text
          return
        // Of a literal that is no message, in the text behind this one.
        case 'continuation':
          this.#output.write(formatContinuation('OK'))
          break
        case 'fault':
          this.#literal = undefined
          throw new Refusal(event.status, event.code, event.text)
        default:
          throw new Error(`octets were expected, not ${event.type}`)
      }
    }
  }

  /** Declines what was not read; nothing when all was. */
  discard(): void {
    if (this.#literal === undefined) return
    this.#literal = undefined
    this.#input.refuse()
  }
}
