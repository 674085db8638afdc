/**
 * Makes the parts of a message whose Content-Transfer-Encoding is binary base64, as the message passes: IMAP can't send NUL but in BINARY, and what a
 * part says of itself has to be true of what is sent. RFC 3516 §4.4, §6. Lines are looked at one by one, and none is held whole.
 */

import { mimeLimits } from '../base/limits.ts'
import { embeddedMessage, plainText, readContent } from './content.ts'
import { type Field, splitFields } from './header.ts'
import { OpenBoundaries } from './open-boundaries.ts'
import { findParameter } from './parameter.ts'

const lf = 10
const dash = 45
const crlf = Buffer.from('\r\n')
/** Of a line: as much as a delimiter can have, and more. */
const pieceOctets = 4096
/** RFC 2045 §6.8: 76 characters. */
const octetsPerLine = 57

interface Level {
  readonly isDigest: boolean
  /** Of a multipart whose closing delimiter has not come yet. */
  boundary: string | undefined
}

export class BinaryToBase64 {
  readonly #levels: Level[] = []
  readonly #boundaries = new OpenBoundaries()
  /** Of the present chunk, joined with the end of the one before. */
  #rest: Buffer = Buffer.alloc(0)
  #atLineStart = true
  #header: string | undefined = ''
  #isMessage = true
  /** The body is one that becomes base64. */
  #encodes = false
  /** Octets that do not fill a line of base64 yet. */
  #unencoded: Buffer = Buffer.alloc(0)
  /** Lines of base64 were written. */
  #encoded = false
  /** The end of the last line: a delimiter's, when one follows. */
  #break: Buffer = Buffer.alloc(0)
  #out: Buffer[] = []
  #parts = 1
  #nulOutside = false

  /** There was a NUL where no encoding can hide it. */
  get hasNul(): boolean {
    return this.#nulOutside
  }

  /** What can be told of the message so far. */
  push(chunk: Buffer): readonly Buffer[] {
    const octets = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk])
    let from = 0
    for (;;) {
      const end = octets.indexOf(lf, from) + 1
      if (end === 0) break
      this.#piece(octets.subarray(from, end), true)
      from = end
    }
    // The CR of a line end may be the last octet.
    if (octets.length - from > pieceOctets) {
      this.#piece(octets.subarray(from, -1), false)
      from = octets.length - 1
    }
    this.#rest = octets.subarray(from)
    return this.#taken()
  }

  /** The message is complete. */
  end(): readonly Buffer[] {
    if (this.#rest.length > 0) this.#piece(this.#rest, false)
    if (this.#header !== undefined) this.#write(Buffer.from(this.#header, 'latin1'))
    if (this.#encodes) this.#encode(this.#break)
    this.#endBody(this.#encodes ? crlf : this.#break)
    return this.#taken()
  }

  #taken(): readonly Buffer[] {
    const out = this.#out
    this.#out = []
    return out
  }

  /** A line, or (without `ends`) a part of one. */
  #piece(octets: Buffer, ends: boolean): void {
    const isLine = this.#atLineStart
    this.#atLineStart = ends
    const level = isLine && this.#parts < mimeLimits.parts ? this.#delimited(octets) : undefined
    if (level !== undefined) this.#delimiter(level, octets)
    else if (this.#header !== undefined) this.#headerPiece(octets, isLine && ends)
    else this.#bodyPiece(octets)
  }

  #delimited(octets: Buffer): number | undefined {
    if (octets[0] !== dash || octets[1] !== dash) return undefined
    return this.#boundaries.find(octets, 2, octets.length)
  }

  #delimiter(index: number, octets: Buffer): void {
    if (this.#header !== undefined) this.#write(Buffer.from(this.#header, 'latin1'))
    this.#endBody(this.#break)
    while (this.#levels.length > index + 1) this.#forget(this.#levels.pop()!, this.#levels.length)
    const level = this.#levels[index]!
    const behind = 2 + level.boundary!.length
    this.#write(octets)
    this.#header = undefined
    if (octets[behind] === dash && octets[behind + 1] === dash) this.#forget(level, index)
    else {
      this.#header = ''
      this.#isMessage = false
      this.#parts++
    }
  }

  #forget(level: Level, index: number): void {
    if (level.boundary !== undefined) this.#boundaries.remove(level.boundary, index)
    level.boundary = undefined
  }

  #headerPiece(octets: Buffer, isLine: boolean): void {
    const isEnd = isLine && (octets.length === 1 || (octets.length === 2 && octets[0] === 13))
    if (!isEnd) {
      this.#header += octets.toString('latin1')
      if (this.#header!.length <= mimeLimits.headerOctets) return
      // What is in it is not looked at any more.
      this.#write(Buffer.from(this.#header!, 'latin1'))
      this.#header = undefined
      return
    }
    const fields = splitFields(this.#header!)
    const isMessage = this.#isMessage
    const parent = this.#levels.at(-1)
    const isDigest = !isMessage && parent?.isDigest === true
    const { type, subtype, parameters, encoding } = readContent(
      fields,
      isMessage,
      isDigest ? embeddedMessage : plainText,
    )
    const isMultipart = type.toLowerCase() === 'multipart'
    const holdsMessage = type.toLowerCase() === 'message' && /^(?:rfc822|global)$/i.test(subtype)
    const isBinary = encoding.toLowerCase() === 'binary'
    this.#encodes = isBinary && !isMultipart && !holdsMessage
    this.#write(
      Buffer.from(isBinary ? withEncoding(fields, this.#encodes ? 'base64' : '8bit') : this.#header!, 'latin1'),
    )
    this.#write(octets)
    this.#header = undefined
    const isDeep = this.#levels.length >= mimeLimits.depth
    if (holdsMessage && !isDeep) {
      this.#levels.push({ isDigest: false, boundary: undefined })
      this.#header = ''
      this.#isMessage = true
      this.#parts++
      return
    }
    const boundary = isMultipart && !isDeep ? findParameter(parameters, 'boundary') : undefined
    if (boundary === undefined || boundary === '' || boundary.length > mimeLimits.boundaryOctets) return
    this.#boundaries.add(boundary, this.#levels.length)
    this.#levels.push({ isDigest: subtype.toLowerCase() === 'digest', boundary })
  }

  #bodyPiece(octets: Buffer): void {
    const breakOctets = octets.at(-1) === lf ? (octets.at(-2) === 13 ? 2 : 1) : 0
    const content = octets.subarray(0, octets.length - breakOctets)
    if (this.#encodes) this.#encode(this.#break, content)
    else {
      this.#write(this.#break)
      this.#write(content)
    }
    this.#break = octets.subarray(content.length)
  }

  #encode(...pieces: readonly Buffer[]): void {
    const octets = Buffer.concat([this.#unencoded, ...pieces])
    const whole = octets.length - (octets.length % octetsPerLine)
    if (whole > 0) this.#lines(octets.subarray(0, whole))
    this.#unencoded = octets.subarray(whole)
  }

  #lines(octets: Buffer): void {
    const lines = octets.toString('base64').match(/.{1,76}/g)!
    this.#out.push(Buffer.from(`${this.#encoded ? '\r\n' : ''}${lines.join('\r\n')}`, 'latin1'))
    this.#encoded = true
  }

  /** `behind`: the line end behind it. */
  #endBody(behind: Buffer): void {
    if (this.#unencoded.length > 0) this.#lines(this.#unencoded)
    this.#write(this.#encoded && behind.length > 0 ? crlf : behind)
    this.#unencoded = Buffer.alloc(0)
    this.#break = Buffer.alloc(0)
    this.#encodes = false
    this.#encoded = false
  }

  #write(octets: Buffer): void {
    if (octets.length === 0) return
    if (octets.includes(0)) this.#nulOutside = true
    this.#out.push(octets)
  }
}

function withEncoding(fields: readonly Field[], encoding: string): string {
  let isFirst = true
  return fields
    .map(({ name, raw }) => {
      if (name !== 'content-transfer-encoding' || !isFirst) return raw
      isFirst = false
      return `Content-Transfer-Encoding: ${encoding}\r\n`
    })
    .join('')
}
