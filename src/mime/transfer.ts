/** Undoing a Content-Transfer-Encoding. RFC 2045 §6. Broken input gives what can be read of it. */

/** The decoded octets of a part's body; as they are for 7bit, 8bit, binary and what is unknown. Linear in the octets. */
export function decodeTransfer(body: Buffer, encoding: string): Buffer {
  switch (encoding.toLowerCase()) {
    case 'base64':
      return decodeBase64(body)
    case 'quoted-printable':
      return decodeQuotedPrintable(body)
    default:
      return body
  }
}

/** Octets outside the alphabet are passed over (RFC 2045 §6.8); padding ends a piece, and another may follow. */
function decodeBase64(body: Buffer): Buffer {
  const text = body.toString('latin1')
  const piece = text.indexOf('=')
  if (piece < 0 || (piece > text.length - 8 && /^[=\s]+$/.test(text.slice(piece)))) return Buffer.from(text, 'base64')
  return Buffer.concat(text.split(/=+/).map((part) => Buffer.from(part, 'base64')))
}

const equals = 0x3d
const lf = 10
const cr = 13

/** RFC 2045 §6.7: "=XX", soft line breaks, and white space at the end of a line that a relay has added. */
function decodeQuotedPrintable(body: Buffer): Buffer {
  const decoded = Buffer.allocUnsafe(body.length)
  let length = 0
  /** Where the white space begins that may turn out to be at the end of the line. */
  let textEnd = 0
  for (let at = 0; at < body.length; at++) {
    const octet = body[at]!
    if (octet === lf) {
      length = textEnd
      if (body[at - 1] === cr) decoded[length++] = cr
      decoded[length++] = lf
    } else if (octet === equals) {
      const value = hexValue(body[at + 1]) * 16 + hexValue(body[at + 2])
      const next = value >= 0 ? -1 : softBreakEnd(body, at + 1)
      if (value >= 0) {
        decoded[length++] = value
        at += 2
      } else if (next < 0) decoded[length++] = equals
      else at = next - 1
    } else {
      decoded[length++] = octet
      if (octet === 32 || octet === 9 || octet === cr) continue
    }
    textEnd = length
  }
  return decoded.subarray(0, length)
}

/** The start of the next line when only white space is left of this one, else -1. */
function softBreakEnd(body: Buffer, from: number): number {
  let at = from
  while (body[at] === 32 || body[at] === 9) at++
  if (body[at] === cr) at++
  if (body[at] === lf) return at + 1
  return at === body.length ? at : -1
}

/** Negative enough for a sum of two to tell when either is no hexadecimal digit. */
function hexValue(octet: number | undefined): number {
  if (octet === undefined) return -1000
  if (octet >= 0x30 && octet <= 0x39) return octet - 0x30
  const upper = octet & ~0x20
  return upper >= 0x41 && upper <= 0x46 ? upper - 0x37 : -1000
}
