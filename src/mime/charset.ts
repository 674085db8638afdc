/** Octets to text by the charset's MIME name. */

import iconv from 'iconv-lite'

/** By lower-case name; undefined: unknown. Only names that a decoder knows are kept, so it can't grow without bound. */
const decoders = new Map<string, (octets: Uint8Array) => string>()

/**
 * Names that clients may use (MIME's own where there are several), for those who ask with another one. There are many more: other spellings, and what only
 * old mail is in.
 */
export const charsetNames: readonly string[] = [
  'US-ASCII',
  'UTF-8',
  ...[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 13, 14, 15, 16].map((part) => `ISO-8859-${part}`),
  ...[1250, 1251, 1252, 1253, 1254, 1255, 1256, 1257, 1258, 874].map((page) => `windows-${page}`),
  'KOI8-R',
  'KOI8-U',
  'IBM850',
  'IBM866',
  'macintosh',
  'TIS-620',
  'GB2312',
  'GBK',
  'GB18030',
  'Big5',
  'EUC-JP',
  'ISO-2022-JP',
  'Shift_JIS',
  'EUC-KR',
  'UTF-7',
  'UTF-16',
  'UTF-16BE',
  'UTF-16LE',
]

/** undefined when the charset is not known. Octets that are wrong in it become U+FFFD. */
export function decodeCharset(octets: Uint8Array, charset: string): string | undefined {
  return findDecoder(charset)?.(octets)
}

/** Whether `decodeCharset` knows the name (SEARCH CHARSET, RFC 9051 §6.4.4, else answers BADCHARSET). */
export function isKnownCharset(charset: string): boolean {
  return findDecoder(charset) !== undefined
}

/** Whether octets below 128 are always themselves in the charset; false when in doubt. */
export const isAsciiCompatible = (charset: string): boolean =>
  /^(us-ascii|utf-8|iso-8859-\d{1,2}|windows-125\d|koi8-[ru]|gb2312|gbk|gb18030|big5|euc-(jp|kr))$/i.test(charset)

/** Text of octets whose charset nobody declared: UTF-8 where they can be, else windows-1252. */
export function decodeUnlabelled(octets: Uint8Array): string {
  try {
    return strictUtf8.decode(octets)
  } catch {
    return windows1252.decode(octets)
  }
}

const unlabelled: ReadonlySet<string> = new Set(['us-ascii', 'ascii', 'ansi_x3.4-1968', 'iso-ir-6', 'us'])
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

/**
 * TextDecoder first: it is faster and knows what browsers do. iconv-lite has UTF-7, the DOS code pages and others. Who says US-ASCII and writes
 * other octets (it is what mail says that says nothing) has not told their charset.
 */
function makeDecoder(name: string): ((octets: Uint8Array) => string) | undefined {
  if (unlabelled.has(name)) return decodeUnlabelled
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
