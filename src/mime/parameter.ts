/** Values with parameters: Content-Type, Content-Disposition. RFC 2045 §5.1, RFC 2183 §2, RFC 2231 §3 and §4 */

import { mimeLimits } from '../base/limits.ts'
import type { Lexer } from './lexer.ts'
import type { Parameter } from './types.ts'

/**
 * `*(";" attribute "=" value)` up to the end of the text. What is no parameter is passed over, so one broken parameter does not hide
 * those behind it. Pieces of a long value (RFC 2231 §3) are joined: `name*0`, `name*1` give `name`, and `name*` where one of
 * them is percent-encoded (`name*0*`); then the value is the encoded one. Extended parameters come last, by name.
 */
export function readParameters(input: Lexer): readonly Parameter[] {
  const parameters: Parameter[] = []
  while (!input.atEnd && parameters.length < mimeLimits.parameters) {
    const start = input.position
    const parameter = readParameter(input)
    if (parameter !== undefined) parameters.push(parameter)
    else if (input.position === start) input.skip()
  }
  return parameters.some(([attribute]) => attribute.includes('*')) ? joinPieces(parameters) : parameters
}

export function findParameter(parameters: readonly Parameter[], lowerCaseName: string): string | undefined {
  return parameters.find(([attribute]) => attribute.toLowerCase() === lowerCaseName)?.[1]
}

/** undefined, the position somewhere behind the fault: no parameter here. */
function readParameter(input: Lexer): Parameter | undefined {
  if (!input.skipCfws() || !input.take(';') || !input.skipCfws()) return undefined
  const attribute = input.token()
  if (!input.skipCfws() || !input.take('=') || !input.skipCfws()) return undefined
  if (input.peek() === '"') {
    const value = input.quotedString()
    return value === undefined ? undefined : [attribute, value]
  }
  // Writers forget the quotes around a name with a slash or a bracket in it, so more than tokens is taken.
  return [attribute, input.until('; \t\r\n"(\\')]
}

interface Piece {
  readonly name: string
  readonly index: number
  readonly encoded: boolean
  readonly value: string
}

function joinPieces(parameters: readonly Parameter[]): readonly Parameter[] {
  const joined: Parameter[] = []
  const pieces = new Map<string, Piece[]>()
  for (const parameter of parameters) {
    const piece = toPiece(parameter)
    if (piece === undefined) {
      joined.push(parameter)
      continue
    }
    const key = piece.name.toLowerCase()
    const others = pieces.get(key)
    if (others === undefined) pieces.set(key, [piece])
    else others.push(piece)
  }
  for (const key of [...pieces.keys()].sort()) {
    const group = pieces.get(key)!.sort((a, b) => a.index - b.index)
    // A value with a gap, or two of the same number, is shown as it came.
    if (group.some(({ index }, position) => index !== position))
      for (const { name, index, encoded, value } of group) joined.push([`${name}*${index}${encoded ? '*' : ''}`, value])
    else {
      const mark = group.some(({ encoded }) => encoded) ? '*' : ''
      joined.push([`${group[0]!.name}${mark}`, group.map(({ value }) => value).join('')])
    }
  }
  return joined
}

/** `name*` (the whole value, encoded), `name*0`, `name*0*`; undefined for other attributes. */
function toPiece([attribute, value]: Parameter): Piece | undefined {
  const star = attribute.indexOf('*')
  if (star < 0) return undefined
  const match = /^(\d{0,9})(\*?)$/.exec(attribute.slice(star + 1))
  if (match === null) return undefined
  const encoded = match[2] === '*' || match[1] === ''
  return { name: attribute.slice(0, star), index: Number(match[1]), encoded, value }
}
