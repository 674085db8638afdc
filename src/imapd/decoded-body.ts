/** A section without its Content-Transfer-Encoding, RFC 3516 §4.3. What is large is decoded twice, first to know its size, and never held. */

import { decodeTransferStream } from '../mime/transfer-stream.ts'
import type { Partial } from '../proto/imap/section.ts'
import type { Body } from './bodies.ts'

export interface DecodedBody extends Body {
  /** It can't be sent but as literal8. */
  readonly hasNul: boolean
  readonly lines: number
}

/** Decoded octets up to this are kept from the first pass. */
const heldOctets = 64 * 1024

/** `chunks`: the encoded octets, as often as they are asked for. */
export async function decodedBody(
  chunks: () => Body['chunks'],
  encoding: string,
  partial: Partial | undefined,
): Promise<DecodedBody> {
  const decoded = () => clipped(decodeTransferStream(chunks(), encoding), partial)
  let sizeOctets = 0
  let hasNul = false
  let lines = 0
  let held: Buffer[] | undefined = []
  for await (const chunk of decoded()) {
    sizeOctets += chunk.length
    hasNul ||= chunk.includes(0)
    for (let at = chunk.indexOf(10); at >= 0; at = chunk.indexOf(10, at + 1)) lines++
    if (sizeOctets > heldOctets) held = undefined
    else held?.push(chunk)
  }
  return { sizeOctets, hasNul, lines, chunks: held ?? decoded() }
}

async function* clipped(
  chunks: AsyncIterable<Buffer>,
  partial: Partial | undefined,
): AsyncGenerator<Buffer, void, undefined> {
  const { offsetOctets, lengthOctets } = partial ?? { offsetOctets: 0, lengthOctets: Number.POSITIVE_INFINITY }
  const last = offsetOctets + lengthOctets
  let at = 0
  for await (const chunk of chunks) {
    const piece = chunk.subarray(Math.max(0, offsetOctets - at), Math.max(0, last - at))
    if (piece.length > 0) yield piece
    at += chunk.length
    if (at >= last) return
  }
}
