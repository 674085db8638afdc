/** What stands in strings besides themselves: encoded characters (RFC 5228 §2.4.2.4) and variables (RFC 5229 §3). */

import type { Namespace, Run, Text, Texts } from './language.ts'
import { runLimits, scriptLimits } from './limits.ts'
import type { GivenString } from './syntax.ts'
import { octetsOf, textOf } from './text.ts'
import type { Position } from './types.ts'

/** What a string needs to know of its script. */
export interface StringContext {
  has(capability: string): boolean
  error(position: Position, text: string): void
  /** By first component, those that the script may use. */
  namespace(name: string): Namespace | undefined
}

export function compileText(given: GivenString, context: StringContext): Text {
  let text = given.text
  if (text.includes('${')) {
    if (context.has('encoded-character')) text = decodeCharacters(text, given, context)
    if (context.has('variables') && text.includes('${')) {
      const pieces = variablePieces(text, given, context)
      if (pieces !== undefined) return { position: given, constant: undefined, of: (run) => expand(pieces, run) }
    }
  }
  return constantText(given, text)
}

export const constantText = (given: Position, text: string): Text => new ConstantText(given, text)

/** Scripts have thousands of them. */
class ConstantText implements Text {
  readonly position: Position
  readonly constant: string

  constructor(position: Position, constant: string) {
    this.position = position
    this.constant = constant
  }

  of(): string {
    return this.constant
  }
}

export function compileTexts(given: Position, items: readonly Text[]): Texts {
  return items.some(({ constant }) => constant === undefined)
    ? { position: given, items, constant: undefined, of: (run) => items.map((item) => item.of(run)) }
    : new ConstantTexts(given, items)
}

class ConstantTexts implements Texts {
  readonly position: Position
  readonly items: readonly Text[]
  readonly constant: readonly string[]

  constructor(position: Position, items: readonly Text[]) {
    this.position = position
    this.items = items
    this.constant = items.map(({ constant }) => constant!)
  }

  of(): readonly string[] {
    return this.constant
  }
}

/** No part of it can match in two ways, so that looking for it is linear. */
const encoded = /\$\{(hex|unicode):[ \t\r\n]*([0-9a-f]+(?:[ \t\r\n]+[0-9a-f]+)*)[ \t\r\n]*\}/gi

function decodeCharacters(text: string, given: Position, context: StringContext): string {
  const pieces: Buffer[] = []
  let end = 0
  for (const match of text.matchAll(encoded)) {
    const numbers = match[2]!.split(/[ \t\r\n]+/)
    const isHex = match[1]!.toLowerCase() === 'hex'
    if (isHex && numbers.some((digits) => digits.length > 2)) continue
    pieces.push(octetsOf(text.slice(end, match.index)))
    end = match.index + match[0].length
    if (isHex) pieces.push(Buffer.from(numbers.map((digits) => Number.parseInt(digits, 16))))
    else
      for (const digits of numbers) {
        const code = Number.parseInt(digits, 16)
        const isCharacter = code <= 0x10ffff && (code < 0xd800 || code > 0xdfff)
        if (!isCharacter)
          context.error(given, `"\${unicode:${digits.slice(0, 20)}}" is no character: use 0 to D7FF or E000 to 10FFFF`)
        pieces.push(Buffer.from(isCharacter ? String.fromCodePoint(code) : match[0]))
      }
  }
  if (end === 0) return text
  pieces.push(octetsOf(text.slice(end)))
  return textOf(Buffer.concat(pieces))
}

type Piece =
  | string
  | { readonly match: number }
  | { readonly variable: string }
  | { readonly namespace: Namespace; readonly name: string }

const reference = /\$\{(?:(\d+)|([a-z_]\w*(?:\.\w+)*))\}/gi

/** undefined: no variables in it. */
function variablePieces(text: string, given: Position, context: StringContext): readonly Piece[] | undefined {
  const pieces: Piece[] = []
  let end = 0
  for (const match of text.matchAll(reference)) {
    const [whole, number, name] = match
    const piece = number === undefined ? variablePiece(name!, given, context) : matchPiece(number, given, context)
    if (piece === undefined) continue
    if (match.index > end) pieces.push(text.slice(end, match.index))
    pieces.push(piece)
    end = match.index + whole.length
  }
  if (pieces.length === 0) return undefined
  if (end < text.length) pieces.push(text.slice(end))
  return pieces
}

function matchPiece(digits: string, given: Position, context: StringContext): Piece | undefined {
  const match = Number(digits)
  if (match <= runLimits.matchVariables) return { match }
  context.error(
    given,
    `\${${digits.slice(0, 20)}} is too high: \${${runLimits.matchVariables}} is the last match variable`,
  )
  return undefined
}

function variablePiece(name: string, given: Position, context: StringContext): Piece | undefined {
  const lower = name.toLowerCase()
  const dot = lower.indexOf('.')
  if (dot < 0) return { variable: lower }
  const [first, rest] = splitNamespace(lower, context)
  const namespace = first === undefined ? undefined : context.namespace(first)
  if (namespace !== undefined) return { namespace, name: rest }
  context.error(
    given,
    `there are no variables "${name.slice(0, dot)}.": require the extension that has them, or use a name without a dot`,
  )
  return undefined
}

/** The longest beginning that is a namespace: `vnd.acme.rocket.` has dots of its own. */
export function splitNamespace(name: string, context: Pick<StringContext, 'namespace'>): [string | undefined, string] {
  for (let dot = name.lastIndexOf('.'); dot > 0; dot = name.lastIndexOf('.', dot - 1))
    if (context.namespace(name.slice(0, dot)) !== undefined) return [name.slice(0, dot), name.slice(dot + 1)]
  return [undefined, name]
}

function expand(pieces: readonly Piece[], run: Run): string {
  let text = ''
  for (const piece of pieces) {
    if (typeof piece === 'string') text += piece
    else if ('variable' in piece) text += run.variable(piece.variable)
    else if ('match' in piece) text += run.matchVariables[piece.match] ?? ''
    else text += piece.namespace.get(piece.name, run) ?? ''
    if (text.length > scriptLimits.stringCharacters) {
      text = text.slice(0, scriptLimits.stringCharacters)
      break
    }
  }
  run.spend(1 + (text.length >> 6))
  // Octets of a character that came from two places are one again.
  return text.isWellFormed() ? text : textOf(octetsOf(text))
}
