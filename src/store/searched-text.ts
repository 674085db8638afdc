/**
 * The text of a message that SEARCH BODY and TEXT look into, decoded and folded: octets of UTF-8, so that one text is found in another as its octets are.
 * What BODY and TEXT mean: RFC 9051 §6.4.4. Of a body what people read counts: text, and of message parts those that are not looked into, such as delivery reports.
 */

import { isAscii } from 'node:buffer'
import { mimeLimits } from '../base/limits.ts'
import { decodeCharset, decodeUnlabelled, isAsciiCompatible } from '../mime/charset.ts'
import { fold } from '../mime/fold.ts'
import { splitFields } from '../mime/header.ts'
import { findParameter } from '../mime/parameter.ts'
import { decodeTransfer } from '../mime/transfer.ts'
import { decodeTransferStream } from '../mime/transfer-stream.ts'
import type { Part } from '../mime/types.ts'
import { foldedValue } from './header-texts.ts'
import type { MessageContent } from './types.ts'

/** `header` is the message's own; fields stand on lines of their own, LF before each, as `NAME: value`. */
export type Where = 'header' | 'part-header' | 'body'

export interface Piece {
  readonly where: Where
  readonly octets: Buffer
  /** It goes on where the piece before it ended. */
  readonly goesOn: boolean
}

/** A folded text as it is looked for. */
export const searchedOctets = (folded: string): Buffer => Buffer.from(folded, 'utf8')

/** Octets of a body that are decoded at once. */
const blockOctets = 256 * 1024
/** A message up to this size is read in one go. */
const wholeOctets = 64 * 1024

/** Where octets of a message come from. */
type Reader = Pick<MessageContent, 'read'>

/** Piece by piece, so that a large body is neither held nor worked on in one go. Throws StoreError. */
export async function* searchedText(content: MessageContent, root: Part): AsyncGenerator<Piece, void, undefined> {
  const reader = content.sizeOctets <= wholeOctets ? await heldWhole(content) : content
  for (const part of partsOf(root)) {
    yield { where: part === root ? 'header' : 'part-header', octets: await headerOf(reader, part), goesOn: false }
    if (!isText(part)) continue
    let goesOn = false
    for await (const block of decodedBlocks(reader, part)) {
      yield { where: 'body', octets: foldedBody(block, part), goesOn }
      goesOn = true
    }
  }
}

async function heldWhole(content: MessageContent): Promise<Reader> {
  const octets = await content.read(0, content.sizeOctets)
  return { read: async (start, end) => octets.subarray(start, end) }
}

async function headerOf(reader: Reader, part: Part): Promise<Buffer> {
  const end = Math.min(part.bodyStart, part.start + mimeLimits.headerOctets)
  const header = await reader.read(part.start, end)
  let text = ''
  for (const { name, raw } of splitFields(header.toString('latin1')))
    text += `\n${name.toUpperCase()}: ${foldedValue(name, raw)}`
  return searchedOctets(text)
}

const isText = ({ type, children }: Part) => children.length === 0 && /^(text|message)$/i.test(type)

function* partsOf(root: Part): Generator<Part, void, undefined> {
  const left = [root]
  for (let part = left.pop(); part !== undefined; part = left.pop()) {
    yield part
    left.push(...part.children.toReversed())
  }
}

/** A body's octets without its transfer encoding, in blocks that end with a line where lines are of any reasonable length. */
async function* decodedBlocks(reader: Reader, part: Part): AsyncGenerator<Buffer, void, undefined> {
  // What is no longer than a block is worked on as a whole, in any charset.
  if (part.end - part.bodyStart <= blockOctets) {
    if (part.end > part.bodyStart) yield decodeTransfer(await reader.read(part.bodyStart, part.end), part.encoding)
    return
  }
  let rest: Buffer = Buffer.alloc(0)
  for await (const octets of decodeTransferStream(blocksOf(reader, part), part.encoding)) {
    const [lines, incomplete] = cutAtLine(joined(rest, octets))
    rest = incomplete
    if (lines.length > 0) yield lines
  }
  if (rest.length > 0) yield rest
}

async function* blocksOf(reader: Reader, part: Part): AsyncGenerator<Buffer, void, undefined> {
  for (let at = part.bodyStart; at < part.end; at += blockOctets)
    yield await reader.read(at, Math.min(at + blockOctets, part.end))
}

const joined = (before: Buffer, octets: Buffer): Buffer =>
  before.length === 0 ? octets : Buffer.concat([before, octets])

/** What is complete up to a line end, and what has to wait for more; nothing waits that is as long as a block. */
function cutAtLine(octets: Buffer): [whole: Buffer, rest: Buffer] {
  const end = octets.lastIndexOf(10) + 1
  if (octets.length - end >= blockOctets) return [octets, octets.subarray(octets.length)]
  return [octets.subarray(0, end), octets.subarray(end)]
}

function foldedBody(octets: Buffer, { parameters }: Part): Buffer {
  const charset = findParameter(parameters, 'charset')
  if (isAscii(octets) && (charset === undefined || isAsciiCompatible(charset)))
    return Buffer.from(octets.toString('latin1').toUpperCase(), 'latin1')
  const text = (charset === undefined ? undefined : decodeCharset(octets, charset)) ?? decodeUnlabelled(octets)
  return searchedOctets(fold(text))
}
