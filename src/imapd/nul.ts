/** What a message's NULs become where IMAP can't send them: everywhere but in literal8. docs/decisions/0315-nul-in-messages.md */

const nul = 0
const substitute = 0x80

/** The octets as they are, or a copy with 0x80 for each NUL, of the same size. RFC 9051 §4.3.1, §9 rule CHAR8 */
export function withoutNul(octets: Buffer): Buffer {
  let at = octets.indexOf(nul)
  if (at < 0) return octets
  const copy = Buffer.from(octets)
  for (; at >= 0; at = copy.indexOf(nul, at + 1)) copy[at] = substitute
  return copy
}
