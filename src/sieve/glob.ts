/**
 * The wildcards of `:matches`. RFC 5228 §2.7.1; what they stand for, RFC 5229 §3.2. No backtracking: each piece between two stars is put at the first place where it fits, which is
 * both enough to know whether the whole fits and what makes every star as short as it can be.
 */

/** A pattern's pieces between its stars; in a piece -1 stands for "?", everything else is a code point. */
export interface Glob {
  readonly pieces: readonly GlobPiece[]
}

export interface GlobPiece {
  readonly codes: readonly number[]
  /** When there is no "?" in it. */
  readonly literal: string | undefined
}

const anyCharacter = -1

export function parseGlob(pattern: string): Glob {
  const pieces: GlobPiece[] = []
  let codes: number[] = []
  for (let at = 0; at < pattern.length; ) {
    const char = pattern[at]!
    if (char === '*') {
      pieces.push(piece(codes))
      codes = []
      at++
      continue
    }
    if (char === '?') {
      codes.push(anyCharacter)
      at++
      continue
    }
    if (char === '\\' && at + 1 < pattern.length) at++
    const code = pattern.codePointAt(at)!
    codes.push(code)
    at += width(code)
  }
  pieces.push(piece(codes))
  return { pieces }
}

export const hasSingle = ({ pieces }: Glob) => pieces.some(({ literal }) => literal === undefined)

/** Where the pieces lie in the text, which has to be matched as a whole; undefined: it isn't. */
export function matchGlob({ pieces }: Glob, text: string): readonly number[] | undefined {
  const first = pieces[0]!
  const last = pieces.at(-1)!
  if (pieces.length === 1) {
    const end = endOfPiece(first, text, 0)
    return end === text.length ? [0] : undefined
  }
  let at = endOfPiece(first, text, 0)
  if (at < 0) return undefined
  const lastStart = startBefore(last, text)
  if (lastStart < at || endOfPiece(last, text, lastStart) !== text.length) return undefined
  const starts = [0]
  for (let index = 1; index < pieces.length - 1; index++) {
    const start = findPiece(pieces[index]!, text, at)
    if (start < 0) return undefined
    at = endOfPiece(pieces[index]!, text, start)
    if (at > lastStart) return undefined
    starts.push(start)
  }
  starts.push(lastStart)
  return starts
}

/** What each wildcard stands for, in `text` where the pieces lie at `starts`. */
export function globGroups({ pieces }: Glob, text: string, starts: readonly number[]): string[] {
  const groups: string[] = []
  let at = 0
  for (const [index, { codes }] of pieces.entries()) {
    if (index > 0) {
      groups.push(text.slice(at, starts[index]))
      at = starts[index]!
    }
    for (const code of codes) {
      const end = at + width(text.codePointAt(at)!)
      if (code === anyCharacter) groups.push(text.slice(at, end))
      at = end
    }
  }
  return groups
}

function piece(codes: number[]): GlobPiece {
  const isLiteral = !codes.includes(anyCharacter)
  return { codes, literal: isLiteral ? codes.map((code) => String.fromCodePoint(code)).join('') : undefined }
}

/** Behind the piece when it fits at `start`, else -1. */
function endOfPiece({ codes, literal }: GlobPiece, text: string, start: number): number {
  if (literal !== undefined) return text.startsWith(literal, start) ? start + literal.length : -1
  let at = start
  for (const wanted of codes) {
    const code = text.codePointAt(at)
    if (code === undefined || (wanted !== anyCharacter && wanted !== code)) return -1
    at += width(code)
  }
  return at
}

/** Where the piece begins when it is the end of the text; -1: it is too long. */
function startBefore({ codes, literal }: GlobPiece, text: string): number {
  if (literal !== undefined) return text.length - literal.length
  return stepBack(text, text.length, codes.length)
}

function stepBack(text: string, from: number, characters: number): number {
  let at = from
  for (let left = characters; left > 0; left--) {
    if (at <= 0) return -1
    at--
    if (at > 0 && isLow(text.charCodeAt(at)) && isHigh(text.charCodeAt(at - 1))) at--
  }
  return at
}

/** The first place from `from` on where the piece fits, or -1. */
function findPiece(wanted: GlobPiece, text: string, from: number): number {
  if (wanted.literal !== undefined) return text.indexOf(wanted.literal, from)
  const { codes } = wanted
  if (codes.every((code) => code === anyCharacter)) return endOfPiece(wanted, text, from) < 0 ? -1 : from
  return shiftAnd(codes, text, from)
}

/** Baeza-Yates and Gonnet: bit i of the state says that the first i + 1 characters of the piece have just been seen. */
function shiftAnd(codes: readonly number[], text: string, from: number): number {
  const words = (codes.length + 31) >> 5
  const others = new Int32Array(words)
  const masks = new Map<number, Int32Array>()
  for (const [index, code] of codes.entries())
    if (code === anyCharacter) others[index >> 5]! |= 1 << (index & 31)
    else if (!masks.has(code)) masks.set(code, new Int32Array(words))
  for (const [code, mask] of masks)
    for (const [index, wanted] of codes.entries())
      if (wanted === code || wanted === anyCharacter) mask[index >> 5]! |= 1 << (index & 31)
  const state = new Int32Array(words)
  const lastWord = words - 1
  const lastBit = 1 << ((codes.length - 1) & 31)
  for (let at = from; at < text.length; ) {
    const code = text.codePointAt(at)!
    at += width(code)
    const mask = masks.get(code) ?? others
    let carry = 1
    for (let word = 0; word < words; word++) {
      const before = state[word]!
      state[word] = ((before << 1) | carry) & mask[word]!
      carry = before >>> 31
    }
    if ((state[lastWord]! & lastBit) !== 0) return stepBack(text, at, codes.length)
  }
  return -1
}

const width = (code: number) => (code > 0xffff ? 2 : 1)
const isHigh = (unit: number) => unit >= 0xd800 && unit < 0xdc00
const isLow = (unit: number) => unit >= 0xdc00 && unit < 0xe000
