/** Message ids in header fields. RFC 5322 §3.6.4, with the obsolete forms of §4.5.4; normalised as RFC 5256 §3 (REFERENCES) asks */

import { Lexer } from './lexer.ts'

/**
 * The valid ids in an unfolded field body (octets in latin1), in its order, without angle brackets, quotes, comments and white space, so that one id
 * has one spelling. Words between them are passed over.
 */
export function* messageIds(value: string): Generator<string, void, undefined> {
  const input = new Lexer(value)
  for (;;) {
    input.until('<')
    if (!input.take('<')) return
    const id = readId(input)
    if (id !== undefined) yield id
  }
}

/** Behind `<`. undefined: it is none, and what comes next may be one. */
function readId(input: Lexer): string | undefined {
  let id = ''
  /** Of the one "@" that is not quoted. */
  let at = -1
  for (;;) {
    if (!input.skipCfws() || input.atEnd) return undefined
    switch (input.peek()) {
      case '>':
        input.skip()
        return at > 0 && at < id.length - 1 ? id : undefined
      case '<':
        return undefined
      case '"': {
        const start = input.position
        const quoted = input.quotedString()
        if (quoted === undefined) {
          // A quote that nobody closes does not hide the ids behind it; there is no other one behind.
          input.rewind(start + 1)
          return undefined
        }
        id += quoted
        break
      }
      case '@':
        at = id.length
        id += '@'
        input.skip()
        break
      default:
        id += input.until('<>@"( \t\r\n')
    }
  }
}
