/**
 * Entries of the blocks of derived caches: `<crc32> <length> <digest> <content>`, numbers in little endian. An entry is found by the digest of a message's octets, so
 * that it can be doubled, out of date or in the wrong file, but never be another message's.
 */

import { crc32 } from 'node:zlib'
import type { BlockEntries } from './block-files.ts'

const lengthAt = 4
const digestAt = 8
const digestOctets = 32
/** Where the content begins. */
export const contentAt = digestAt + digestOctets

/** `digest` in base64url. */
export function blockEntry(digest: string, ...content: readonly Buffer[]): Buffer {
  const head = Buffer.alloc(contentAt)
  head.write(digest, digestAt, digestOctets, 'base64url')
  const entry = Buffer.concat([head, ...content])
  entry.writeUInt32LE(entry.length, lengthAt)
  entry.writeUInt32LE(crc32(entry.subarray(lengthAt)), 0)
  return entry
}

/** Behind an entry that does not check out nothing is believed. `isSound` looks at an entry whose sum is right, and that has `leastOctets`. */
export function readBlockEntries(
  octets: Buffer,
  leastOctets: number,
  mostOctets: number,
  isSound: (entry: Buffer) => boolean = () => true,
): BlockEntries {
  const entries = new Map<string, Buffer>()
  let start = 0
  let count = 0
  while (start + leastOctets <= octets.length) {
    const length = octets.readUInt32LE(start + lengthAt)
    if (length < leastOctets || length > mostOctets || start + length > octets.length) break
    const entry = octets.subarray(start, start + length)
    if (entry.readUInt32LE(0) !== crc32(entry.subarray(lengthAt)) || !isSound(entry)) break
    entries.set(entry.toString('base64url', digestAt, contentAt), entry)
    start += length
    count += 1
  }
  return { entries, count, isWhole: start === octets.length }
}
