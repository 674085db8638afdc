/**
 * Entries of the text cache: `<crc32> <length> <digest> <end of the header> <end of all headers> <text>`, numbers in little endian, of the messages in one range
 * of UIDs. An entry is found by the digest of a message's octets, so that it can be doubled, out of date or in the wrong file, but never be another message's.
 */

import { crc32 } from 'node:zlib'
import type { Piece } from './searched-text.ts'

/** Of one message. Longer ones are read whenever they are searched: that costs them less, octet for octet, than it would cost the others to have them here. */
const maxTextOctets = 64 * 1024
/** Of a block's file. */
export const maxTextBlockOctets = 16 * 1024 * 1024

const lengthAt = 4
const digestAt = 8
const digestOctets = 32
const headerEndAt = digestAt + digestOctets
const headersEndAt = headerEndAt + 4
const textAt = headersEndAt + 4
/** Stands for the end of a header whose message is not kept. */
const notKept = 0xffffffff

/** What is searched of one message: its own header up to `headerEnd`, those of its parts up to `headersEnd`, then its bodies. NUL between parts. */
export interface MessageText {
  readonly octets: Buffer
  readonly headerEnd: number
  readonly headersEnd: number
}

/** The text in one; undefined when it is too long to be kept. */
export async function textOf(pieces: AsyncIterable<Piece>): Promise<MessageText | undefined> {
  const nul = Buffer.alloc(1)
  const headers: Buffer[] = []
  const bodies: Buffer[] = []
  let [total, headerEnd, headersEnd] = [0, 0, 0]
  for await (const { where, octets, goesOn } of pieces) {
    const into = where === 'body' ? bodies : headers
    if (!goesOn) into.push(nul)
    into.push(octets)
    const length = octets.length + (goesOn ? 0 : 1)
    total += length
    if (where === 'header') headerEnd = length
    if (where !== 'body') headersEnd += length
    if (total > maxTextOctets) return undefined
  }
  return { octets: Buffer.concat([...headers, ...bodies], total), headerEnd, headersEnd }
}

/** `digest` in base64url; without a text: that it is not kept. */
export function textEntry(digest: string, text: MessageText | undefined): Buffer {
  const octets = text?.octets ?? Buffer.alloc(0)
  const head = Buffer.alloc(textAt)
  head.writeUInt32LE(textAt + octets.length, lengthAt)
  head.write(digest, digestAt, digestOctets, 'base64url')
  head.writeUInt32LE(text?.headerEnd ?? notKept, headerEndAt)
  head.writeUInt32LE(text?.headersEnd ?? 0, headersEndAt)
  const entry = Buffer.concat([head, octets])
  entry.writeUInt32LE(crc32(entry.subarray(lengthAt)), 0)
  return entry
}

export interface TextEntries {
  /** By digest, the last of each; a text that is undefined is not kept. */
  readonly texts: ReadonlyMap<string, MessageText | undefined>
  readonly count: number
  /** All of the file is sound. */
  readonly isWhole: boolean
}

/** Of a block's file. Behind an entry that does not check out nothing is believed. */
export function readTextEntries(file: Buffer): TextEntries {
  const texts = new Map<string, MessageText | undefined>()
  let start = 0
  let count = 0
  while (start + textAt <= file.length) {
    const length = file.readUInt32LE(start + lengthAt)
    if (length < textAt || length > textAt + maxTextOctets || start + length > file.length) break
    const entry = file.subarray(start, start + length)
    if (entry.readUInt32LE(0) !== crc32(entry.subarray(lengthAt))) break
    const [headerEnd, headersEnd] = [entry.readUInt32LE(headerEndAt), entry.readUInt32LE(headersEndAt)]
    const text = headerEnd === notKept ? undefined : { octets: entry.subarray(textAt), headerEnd, headersEnd }
    texts.set(entry.toString('base64url', digestAt, headerEndAt), text)
    start += length
    count += 1
  }
  return { texts, count, isWhole: start === file.length }
}
