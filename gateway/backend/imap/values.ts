/** The values of an IMAP response: atoms, strings, lists. RFC 9051 §9. Liberal: what real servers send beyond the grammar is taken where it is unambiguous. */
import { BackendError } from '../errors.ts'
import type { Part, Streamed } from './response-reader.ts'

/** A string in quotes or a literal, octets in latin1; an atom stays apart because NIL and "NIL" differ. */
export type Value = Atom | Buffer | null | Streamed | readonly Value[]

/** Octets in latin1; with its section, as in `BODY[HEADER.FIELDS (DATE)]<0>`. */
export type Atom = string

const maxDepth = 64
const maxValues = 100_000

/** All values of a response behind `parts`' first word(s). Quoted strings and literals are Buffers. Throws BackendError protocol or limit. */
export function parseValues(parts: readonly Part[]): Value[] {
  const stack: Value[][] = [[]]
  let count = 0
  const add = (value: Value) => {
    count += 1
    if (count > maxValues)
      throw new BackendError('limit', `the backend sent a response of more than ${maxValues} values`)
    stack.at(-1)!.push(value)
  }
  for (const part of parts) {
    if (typeof part !== 'string') {
      add(part)
      continue
    }
    for (let at = 0; at < part.length; ) {
      const character = part[at]!
      if (character === ' ' || character === '\0') at += 1
      else if (character === '(') {
        if (stack.length > maxDepth) throw new BackendError('limit', 'the backend sent lists nested too deeply')
        const list: Value[] = []
        add(list)
        stack.push(list)
        at += 1
      } else if (character === ')') {
        if (stack.length === 1)
          throw new BackendError('protocol', 'the backend closed a list that it had not opened', { serverText: part })
        stack.pop()
        at += 1
      } else if (character === '"') {
        const [octets, end] = quoted(part, at)
        add(octets)
        at = end
      } else {
        const end = atomEnd(part, at)
        const atom = part.slice(at, end)
        add(atom.toUpperCase() === 'NIL' ? null : atom)
        at = end
      }
    }
  }
  if (stack.length > 1) throw new BackendError('protocol', 'the backend left a list open')
  return stack[0]!
}

function quoted(text: string, start: number): [Buffer, number] {
  let value = ''
  for (let at = start + 1; at < text.length; at += 1) {
    if (text[at] === '"') return [Buffer.from(value, 'latin1'), at + 1]
    if (text[at] === '\\') at += 1
    value += text[at] ?? ''
  }
  throw new BackendError('protocol', 'the backend left a string open', { serverText: text })
}

/** An atom ends at a blank or parenthesis, but not within its brackets. */
function atomEnd(text: string, start: number): number {
  let depth = 0
  for (let at = start; at < text.length; at += 1) {
    const character = text[at]
    if (character === '[') depth += 1
    else if (character === ']') depth -= 1
    else if (depth <= 0 && (character === ' ' || character === '(' || character === ')')) return at
  }
  return text.length
}
