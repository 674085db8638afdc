/** Octets to text by the charset's MIME name. */

import iconv from 'iconv-lite'

/** By lower-case name; undefined: unknown. Only names that a decoder knows are kept, so it can't grow without bound. */
const decoders = new Map<string, (octets: Uint8Array) => string>()

/** undefined when the charset is not known. Octets that are wrong in it become U+FFFD. */
export function decodeCharset(octets: Uint8Array, charset: string): string | undefined {
  return findDecoder(charset)?.(octets)
}

/** Whether `decodeCharset` knows the name (SEARCH CHARSET, RFC 9051 §6.4.4, else answers BADCHARSET). */
export function isKnownCharset(charset: string): boolean {
  return findDecoder(charset) !== undefined
}

/** Text of octets whose charset nobody declared: UTF-8 where they can be, else windows-1252. */
export function decodeUnlabelled(octets: Uint8Array): string {
  try {
    return strictUtf8.decode(octets)
  } catch {
    return windows1252.decode(octets)
  }
}

const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
const windows1252 = new TextDecoder('windows-1252')

/** Longest registered name and then some. */
const maxNameLength = 64

function findDecoder(charset: string): ((octets: Uint8Array) => string) | undefined {
  if (charset.length > maxNameLength) return undefined
  const name = charset.trim().toLowerCase()
  const known = decoders.get(name)
  if (known !== undefined) return known
  const decoder = makeDecoder(name)
  if (decoder !== undefined) decoders.set(name, decoder)
  return decoder
}

/** TextDecoder first: it is faster and knows what browsers do. iconv-lite has UTF-7, the DOS code pages and others. */
function makeDecoder(name: string): ((octets: Uint8Array) => string) | undefined {
  try {
    const decoder = new TextDecoder(name)
    return (octets) => decoder.decode(octets)
  } catch {
    // Its transfer encodings are no charsets; in its names only letters and digits count.
    if (notCharsets.has(name.replace(/[^a-z0-9]/g, '')) || !iconv.encodingExists(name)) return undefined
    return (octets) => iconv.decode(Buffer.from(octets.buffer, octets.byteOffset, octets.byteLength), name)
  }
}

const notCharsets: ReadonlySet<string> = new Set(['base64', 'hex', 'binary', 'internal', 'utf7imap'])
