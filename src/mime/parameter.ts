/** Values with parameters: Content-Type, Content-Disposition. RFC 2045 §5.1, RFC 2183 §2, RFC 2231 §3 and §4 */

import { mimeLimits } from '../base/limits.ts'
import type { Lexer } from './lexer.ts'
import type { Parameter } from './types.ts'

/**
 * `*(";" attribute "=" value)` up to the end of the text. What is no parameter is passed over, so one broken parameter does not hide
 * those behind it. Pieces of a long value (RFC 2231 §3) are joined: `name*0`, `name*1` give `name`, and `name*` where one of
 * them is percent-encoded (`name*0*`), in which case the value is the encoded one.
 */
export function readParameters(input: Lexer): readonly Parameter[] {
  const parameters: Parameter[] = []
  while (!input.atEnd && parameters.length < mimeLimits.parameters) {
    const parameter = readParameter(input)
    if (parameter !== undefined) parameters.push(parameter)
    else if (!input.atEnd) input.skip()
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
  if (attribute === '' || !input.skipCfws() || !input.take('=') || !input.skipCfws()) return undefined
  if (input.peek() === '"') {
    const value = input.quotedString()
    return value === undefined ? undefined : [attribute, value]
  }
  // Writers forget the quotes around a name with a slash or a bracket in it, so more than tokens is taken.
  return [attribute, input.until('; \t\r\n"(')]
}

interface Piece {
  readonly attribute: string
  readonly index: number
  readonly encoded: boolean
  readonly value: string
}

function joinPieces(parameters: readonly Parameter[]): readonly Parameter[] {
  const joined: Parameter[] = []
  const pieces: Piece[] = []
  for (const parameter of parameters) {
    const [, attribute, index, mark] = /^(.*?)\*(\d{1,9})(\*?)$/.exec(parameter[0]) ?? []
    if (attribute === undefined || index === undefined) joined.push(parameter)
    else pieces.push({ attribute, index: Number(index), encoded: mark === '*', value: parameter[1] })
  }
  const byName = Map.groupBy(pieces, (piece) => piece.attribute.toLowerCase())
  for (const [, group] of byName) {
    group.sort((a, b) => a.index - b.index)
    const name = `${group[0]!.attribute}${group.some((piece) => piece.encoded) ? '*' : ''}`
    joined.push([name, group.map((piece) => piece.value).join('')])
  }
  return joined
}
