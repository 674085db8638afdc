/** Undoing a Content-Transfer-Encoding piece by piece: what `decodeTransfer` makes of the whole, in memory that does not depend on its size. RFC 2045 §6 */

import { decodeTransfer } from './transfer.ts'

const identities: ReadonlySet<string> = new Set(['7bit', '8bit', 'binary'])

/** Whether the encoding is one that can be undone. */
export function isKnownEncoding(encoding: string): boolean {
  const name = encoding.toLowerCase()
  return identities.has(name) || name === 'base64' || name === 'quoted-printable'
}

/** The decoded octets; as they are where the encoding is unknown. */
export async function* decodeTransferStream(
  chunks: Iterable<Buffer> | AsyncIterable<Buffer>,
  encoding: string,
): AsyncGenerator<Buffer, void, undefined> {
  const name = encoding.toLowerCase()
  if (name !== 'base64' && name !== 'quoted-printable') {
    yield* chunks
    return
  }
  const cut = name === 'base64' ? cutBase64 : cutQuotedPrintable
  let rest: Buffer = Buffer.alloc(0)
  for await (const chunk of chunks) {
    const octets = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
    const end = cut(octets)
    if (end > 0) yield decodeTransfer(octets.subarray(0, end), name)
    rest = octets.subarray(end)
  }
  if (rest.length > 0) yield decodeTransfer(rest, name)
}

/** More than this is decoded where it happens to end: no decoder of others gets anything useful from such octets either. */
const mostRestOctets = 64 * 1024

/** Behind the last octet of the alphabet that completes a group of four. */
function cutBase64(octets: Buffer): number {
  let inGroup = 0
  let end = 0
  for (let at = 0; at < octets.length; at++) {
    const octet = octets[at]!
    if (octet === 0x3d) {
      // Padding ends a group, and whatever stands between two runs of it.
      inGroup = 0
      end = at + 1
    } else if (isBase64(octet) && ++inGroup === 4) {
      inGroup = 0
      end = at + 1
    }
  }
  return octets.length - end > mostRestOctets ? octets.length : end
}

const base64Octets = new Uint8Array(256)
for (const char of 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_')
  base64Octets[char.charCodeAt(0)] = 1
const isBase64 = (octet: number) => base64Octets[octet] === 1

/** Behind the last octet that says nothing of those behind it: a line end, or text that no "=" and no white space is next to. */
function cutQuotedPrintable(octets: Buffer): number {
  for (let at = octets.length - 1; at >= 0; at--) {
    const octet = octets[at]!
    if (octet === 10) return at + 1
    const isText = octet !== 0x3d && octet !== 32 && octet !== 9 && octet !== 13
    if (isText && octets[at - 1] !== 0x3d && octets[at - 2] !== 0x3d) return at + 1
  }
  return octets.length > mostRestOctets ? octets.length : 0
}
