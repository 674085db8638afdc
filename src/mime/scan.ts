/**
 * One pass over a message's octets that finds its tree of parts, RFC 2045 and 2046. Octets may come in any number of chunks; the
 * result does not depend on where they are cut. Memory holds headers and the tree (both bounded, see `mimeLimits`), never bodies.
 * Works line by line with a stack of the open parts: neither depth nor size of the input costs more than its octets.
 *
 * Lines end in LF, with or without CR. Octets count as they are: nothing is converted.
 */

import { mimeLimits } from '../base/limits.ts'
import { embeddedMessage, opaque, plainText, readContent } from './content.ts'
import { countAddresses, readEnvelope } from './envelope.ts'
import { type Field, splitFields } from './header.ts'
import { OpenBoundaries } from './open-boundaries.ts'
import { findParameter } from './parameter.ts'
import type { Envelope, Part } from './types.ts'

const lf = 10
const cr = 13
const dash = 45
const nothing = Buffer.alloc(0)
const countedOctets = 8 * 1024
const dashesOnNewLine = Buffer.from('\n--')

/** What is kept of a line whose chunk ends before it does: enough for a delimiter, "--" on both sides. */
const lineStartOctets = mimeLimits.boundaryOctets + 4

/** The whole message at once. */
export function scan(octets: Uint8Array): Part {
  const scanner = new Scanner()
  scanner.push(octets)
  return scanner.end()
}

/** A part while it is read; it is handed out as it is. */
class OpenPart implements Part {
  readonly start: number
  readonly children: OpenPart[] = []
  bodyStart = 0
  end = 0
  lines = 0
  type = plainText.type
  subtype = plainText.subtype
  parameters = plainText.parameters
  id: string | undefined = undefined
  description: string | undefined = undefined
  encoding = '7bit'
  md5: string | undefined = undefined
  disposition: Part['disposition'] = undefined
  language: readonly string[] | undefined = undefined
  location: string | undefined = undefined
  envelope: Envelope | undefined = undefined

  constructor(start: number) {
    this.start = start
  }
}

/** An open part and what only the scanner has to know of it. */
interface Level {
  readonly part: OpenPart
  /** The message or an embedded one: has an envelope. */
  readonly isMessage: boolean
  /** Of a multipart whose closing delimiter has not come yet. */
  boundary: string | undefined
  /** Lines of the whole message that end before this part's body. */
  linesBefore: number
}

export class Scanner {
  readonly #root = new OpenPart(0)
  readonly #levels: Level[] = [{ part: this.#root, isMessage: true, boundary: undefined, linesBefore: 0 }]
  #partCount = 1
  readonly #boundaries = new OpenBoundaries()
  /** How many addresses all envelopes together may still get. */
  #addressRoom: number = mimeLimits.messageAddresses
  #rootFields: readonly Field[] = []

  /** Of the line that is looked at: octets and lines before it, and the octets of the line end before it (2, 1, 0 at the start). */
  #offset = 0
  #lineCount = 0
  #breakBefore = 0

  /** The chunk that is being read, where in it the line begins (-1: in an earlier one) and where the next line does. */
  #chunk: Buffer = nothing
  #lineIndex = 0
  #nextIndex = 0
  /** A line that began in an earlier chunk: its first octets, its length so far, its last octet. */
  #lineStart: Buffer = nothing
  #lineOctets = 0
  #lineLast = 0

  /** A header is being read: its text so far, how much of that was there when the line began, where it goes on in the chunk. */
  #inHeader = true
  #header = ''
  #headerAtLine = 0
  #headerFrom = 0
  #headersOctets = 0

  /** The fields of the message's own header; complete after `end`. */
  get fields(): readonly Field[] {
    return this.#rootFields
  }

  /** The chunk is not kept. */
  push(chunk: Uint8Array): void {
    const octets = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)
    const { length } = octets
    this.#chunk = octets
    this.#headerFrom = 0
    let from = this.#passBody(octets, 0)
    for (let to = octets.indexOf(lf, from); to >= 0; to = octets.indexOf(lf, from)) {
      this.#nextIndex = to + 1
      if (this.#lineOctets === 0) {
        this.#lineIndex = from
        this.#line(octets, from, to + 1 - from, to > from && octets[to - 1] === cr ? 2 : 1)
      } else {
        this.#keepLineStart(0, to)
        this.#splitLine(1, this.#lineLast === cr ? 2 : 1)
      }
      from = this.#passBody(octets, to + 1)
    }
    if (this.#inHeader) {
      this.#addToHeader(from)
      if (this.#lineOctets === 0) this.#headerAtLine = this.#header.length
      this.#addToHeader(length)
    }
    if (from < length) this.#keepLineStart(from, length)
    this.#chunk = nothing
  }

  /** The message is complete. */
  end(): Part {
    this.#headerFrom = 0
    this.#nextIndex = 0
    if (this.#lineOctets > 0) this.#splitLine(0, 0)
    while (this.#inHeader) this.#endHeader()
    while (this.#levels.length > 0) this.#close(this.#offset, this.#lineCount)
    return this.#root
  }

  /** Passes all whole lines from `from` on that belong to a body and can't be delimiters; answers where it came to. They are most of a message. */
  #passBody(octets: Buffer, from: number): number {
    if (this.#inHeader || this.#lineOctets > 0 || (octets[from] === dash && octets[from + 1] === dash)) return from
    const before = octets.indexOf(dashesOnNewLine, from)
    const to = (before >= 0 ? before : octets.lastIndexOf(lf)) + 1
    if (to <= from) return from
    this.#offset += to - from
    this.#lineCount += countLines(octets, from, to)
    this.#breakBefore = to - from > 1 && octets[to - 2] === cr ? 2 : 1
    return to
  }

  #keepLineStart(from: number, to: number): void {
    const room = lineStartOctets - Math.min(this.#lineOctets, lineStartOctets)
    const piece = this.#chunk.subarray(from, Math.min(to, from + room))
    if (this.#lineOctets === 0) this.#lineStart = Buffer.from(piece)
    else if (room > 0) this.#lineStart = Buffer.concat([this.#lineStart, piece])
    this.#lineOctets += to - from
    if (to > from) this.#lineLast = this.#chunk[to - 1]!
  }

  /** The kept line has ended, `more` octets after what was counted. */
  #splitLine(more: number, breakOctets: number): void {
    const sizeOctets = this.#lineOctets + more
    this.#lineOctets = 0
    this.#lineIndex = -1
    this.#line(this.#lineStart, 0, sizeOctets, breakOctets)
  }

  /** A line of `sizeOctets`, its line end of `breakOctets` included, that begins at `from` of `octets`. */
  #line(octets: Buffer, from: number, sizeOctets: number, breakOctets: number): void {
    const contentOctets = sizeOctets - breakOctets
    // The last part that is allowed takes the rest of the message: no delimiter counts any more.
    const index =
      octets[from] === dash && octets[from + 1] === dash && this.#partCount < mimeLimits.parts
        ? this.#boundaries.find(octets, from + 2, from + contentOctets)
        : undefined
    if (index !== undefined) this.#endParts(index)
    this.#offset += sizeOctets
    if (breakOctets > 0) this.#lineCount++
    this.#breakBefore = breakOctets
    if (index !== undefined) this.#delimiter(this.#levels[index]!, octets, from + 2, breakOctets > 0)
    else if (this.#inHeader && contentOctets === 0) {
      this.#cutHeader()
      this.#endHeader()
    }
  }

  /** Before a delimiter of the multipart at `index`: ends the parts inside it. */
  #endParts(index: number): void {
    if (this.#inHeader) this.#cutHeader()
    while (this.#inHeader) this.#endHeader()
    // The line end before a delimiter belongs to it, and so to none of the parts that it ends (RFC 2046 §5.1.1). Without a body
    // there is none but that of the header, which stays whole.
    const hasBody = this.#levels.at(-1)!.part.bodyStart < this.#offset
    const end = hasBody ? this.#offset - this.#breakBefore : this.#offset
    const lines = hasBody ? this.#lineCount - 1 : this.#lineCount
    while (this.#levels.length > index + 1) this.#close(end, lines)
  }

  /** Behind a delimiter whose boundary is at `from` of `octets`. At the end of the message no part begins. */
  #delimiter(multipart: Level, octets: Buffer, from: number, lineEnded: boolean): void {
    const behind = from + multipart.boundary!.length
    if (octets[behind] === dash && octets[behind + 1] === dash) this.#forgetBoundary(multipart, this.#levels.length - 1)
    else if (lineEnded && this.#partCount < mimeLimits.parts) this.#open(multipart.part, false)
  }

  #open(parent: OpenPart, isMessage: boolean): void {
    const part = new OpenPart(this.#offset)
    parent.children.push(part)
    this.#levels.push({ part, isMessage, boundary: undefined, linesBefore: 0 })
    this.#inHeader = true
    this.#header = ''
    this.#headerAtLine = 0
    this.#headerFrom = this.#nextIndex
    this.#partCount++
  }

  #forgetBoundary(level: Level, index: number): void {
    if (level.boundary !== undefined) this.#boundaries.remove(level.boundary, index)
    level.boundary = undefined
  }

  /** The innermost part's header has ended, its body begins at the present offset. */
  #endHeader(): void {
    const level = this.#levels.at(-1)!
    const { part } = level
    const fields = splitFields(this.#header)
    this.#headersOctets += this.#header.length
    this.#inHeader = false
    part.bodyStart = this.#offset
    level.linesBefore = this.#lineCount
    const parent = this.#levels.at(-2)?.part
    const isDigest = !level.isMessage && parent?.subtype.toLowerCase() === 'digest'
    Object.assign(part, readContent(fields, level.isMessage, isDigest ? embeddedMessage : plainText))
    if (level.isMessage) {
      part.envelope = readEnvelope(fields, this.#addressRoom)
      this.#addressRoom -= countAddresses(part.envelope)
    }
    if (part === this.#root) this.#rootFields = fields
    const type = part.type.toLowerCase()
    const isMultipart = type === 'multipart'
    const holdsMessage = type === 'message' && /^(?:rfc822|global)$/i.test(part.subtype)
    if (!isMultipart && !holdsMessage) return
    if (this.#levels.length >= mimeLimits.depth || this.#partCount >= mimeLimits.parts) Object.assign(part, opaque)
    else if (holdsMessage) this.#open(part, true)
    else {
      const boundary = findParameter(part.parameters, 'boundary')
      if (boundary === undefined || boundary === '' || boundary.length > mimeLimits.boundaryOctets) return
      level.boundary = boundary
      this.#boundaries.add(boundary, this.#levels.length - 1)
    }
  }

  /** The innermost part ends `end` octets and `lines` lines into the message. */
  #close(end: number, lines: number): void {
    const level = this.#levels.pop()!
    this.#forgetBoundary(level, this.#levels.length)
    level.part.end = end
    level.part.lines = lines - level.linesBefore
  }

  /** Takes the chunk up to `to` into the header text, as far as the limits allow. */
  #addToHeader(to: number): void {
    const room = Math.min(
      mimeLimits.headerOctets - this.#header.length,
      mimeLimits.headersOctets - this.#headersOctets - this.#header.length,
    )
    this.#header += this.#chunk.toString('latin1', this.#headerFrom, Math.min(to, this.#headerFrom + room))
    this.#headerFrom = to
  }

  /** Makes the header text end where the present line begins. */
  #cutHeader(): void {
    if (this.#lineIndex < 0) this.#header = this.#header.slice(0, this.#headerAtLine)
    else this.#addToHeader(this.#lineIndex)
  }
}

/** In short strings, where looking for an octet costs the least. */
function countLines(octets: Buffer, from: number, to: number): number {
  let count = 0
  for (let start = from; start < to; start += countedOctets) {
    const text = octets.toString('latin1', start, Math.min(to, start + countedOctets))
    for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) count += 1
  }
  return count
}
