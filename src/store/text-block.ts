/**
 * The texts of the messages in one range of UIDs, for SEARCH: `<end of the header> <end of all headers> <text>` is the content of each entry, numbers in little endian.
 */

import { blockEntry, contentAt, readBlockEntries } from './block-entry.ts'
import type { BlockKind } from './block-files.ts'
import type { Piece } from './searched-text.ts'

/** Of one message. Longer ones are read whenever they are searched: that costs them less, octet for octet, than it would cost the others to have them here. */
const maxTextOctets = 64 * 1024

const headersEndAt = contentAt + 4
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
  const ends = Buffer.alloc(textAt - contentAt)
  ends.writeUInt32LE(text?.headerEnd ?? notKept, 0)
  ends.writeUInt32LE(text?.headersEnd ?? 0, headersEndAt - contentAt)
  return blockEntry(digest, ends, text?.octets ?? Buffer.alloc(0))
}

/** undefined: it is not kept. */
export function textIn(entry: Buffer): MessageText | undefined {
  const headerEnd = entry.readUInt32LE(contentAt)
  if (headerEnd === notKept) return undefined
  return { octets: entry.subarray(textAt), headerEnd, headersEnd: entry.readUInt32LE(headersEndAt) }
}

export const textKind: BlockKind = {
  prefix: 'texts-',
  // Changes with what is taken for the same, too.
  shape: 1,
  maxOctets: 16 * 1024 * 1024,
  read: (octets) => readBlockEntries(octets, textAt, textAt + maxTextOctets),
}
