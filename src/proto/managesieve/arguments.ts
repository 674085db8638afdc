/** The arguments of a command, one after the other. RFC 5804 §4 */

import { SyntaxFault } from '../../base/errors.ts'
import type { Token } from './token.ts'

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

export class Arguments {
  readonly #tokens: readonly Token[]
  #at = 0

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens
  }

  get isAtEnd(): boolean {
    return this.#at === this.#tokens.length
  }

  /** A quoted string or a literal. Throws SyntaxFault; `what` names it there. */
  string(what: string): Buffer {
    const token = this.#tokens[this.#at]
    if (token?.type !== 'string') throw new SyntaxFault(`${what} is expected, as a string`, 'string')
    this.#at += 1
    return token.octets
  }

  /** A string in UTF-8. Throws SyntaxFault. */
  text(what: string): string {
    return textOf(this.string(what), what)
  }

  /** Below 2^32. Throws SyntaxFault. */
  number(what: string): number {
    const token = this.#tokens[this.#at]
    const digits = token?.type === 'atom' && /^(0|[1-9][0-9]{0,9})$/.test(token.text) ? Number(token.text) : undefined
    if (digits === undefined || digits > 0xffffffff) throw new SyntaxFault(`${what} is expected, as a number`, 'number')
    this.#at += 1
    return digits
  }

  /** Throws SyntaxFault when there are more. */
  end(): void {
    if (!this.isAtEnd) throw new SyntaxFault('there are too many arguments', 'command')
  }
}

/** Throws SyntaxFault for what is no UTF-8. */
export function textOf(octets: Uint8Array, what: string): string {
  try {
    return decoder.decode(octets)
  } catch {
    throw new SyntaxFault(`${what} is expected in UTF-8`, 'string')
  }
}

/** The word of a command, upper case, and what it is given. An empty line has no word. Throws SyntaxFault for a line that begins with a string. */
export function commandOf(tokens: readonly Token[]): { readonly word: string; readonly args: Arguments } {
  const [first, ...rest] = tokens
  if (first === undefined) throw new SyntaxFault('a command is expected', 'command')
  if (first.type !== 'atom') throw new SyntaxFault('a command begins with a word', 'command')
  return { word: first.text.toUpperCase(), args: new Arguments(rest) }
}
