/** SASLprep (RFC 4013): what SCRAM makes of a password before it hashes it. */

/** RFC 3454 B.1: commonly mapped to nothing. */
const nothing = /[\u00ad\u1806\u200b-\u200d\u2060\ufeff]|\u034f|[\u180b-\u180d]|[\ufe00-\ufe0f]/gu
/** RFC 3454 C.1.2: non-ASCII blanks become a blank. */
const blanks = /[\u00a0\u1680\u2000-\u200b\u202f\u205f\u3000]/gu
/** RFC 4013 §2.3, and code points that are not assigned: §2.5 forbids them in stored strings. */
const prohibited =
  /\u0340|\u0341|[\p{Cc}\p{Co}\p{Cs}\p{Cn}\u06dd\u070f\u180e\u2028\u2029\u2061-\u2063\u206a-\u206f\ufff9-\ufffd\u{1d173}-\u{1d17a}\u2ff0-\u2ffb\u200e\u200f\u202a-\u202e\u{e0001}\u{e0020}-\u{e007f}]/u

/**
 * The prepared octets; undefined for a password that SCRAM can't carry: not UTF-8, or with prohibited characters. The rule on
 * mixed writing directions (§2.4) is not applied: it would only refuse passwords, never change one.
 */
export const saslPrep = (password: Uint8Array): Buffer | undefined => {
  let text: string
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(password)
  } catch {
    return undefined
  }
  // Blanks first: U+200B is in both lists and a blank in RFC 4013 §2.1.
  const prepared = text.replace(blanks, ' ').replace(nothing, '').normalize('NFKC')
  return prepared === '' || prohibited.test(prepared) ? undefined : Buffer.from(prepared)
}
