/** The collation i;unicode-casemap. RFC 5051 §2 */

/**
 * The text prepared: every character in title case and decomposed. Two texts are equal when what comes of them is, and the octets of its UTF-8
 * form order them.
 */
export function unicodeCasemap(text: string): string {
  if (isAscii(text)) return text.toUpperCase()
  let prepared = ''
  for (const char of text) prepared += prepare(char)
  return prepared
}

function isAscii(text: string): boolean {
  for (let at = 0; at < text.length; at += 1) if (text.charCodeAt(at) > 127) return false
  return true
}

/** Of the characters that were seen; a few thousand are in use. */
const known = new Map<string, string>()
const maxKnown = 20_000

function prepare(char: string): string {
  if (char < '\x80') return char.toUpperCase()
  let prepared = known.get(char)
  if (prepared === undefined) {
    prepared = titleCase(char).normalize('NFKD')
    if (known.size < maxKnown) known.set(char, prepared)
  }
  return prepared
}

/** Titlecase letters, the upper-case ones of Greek with an iota below among them; and Georgian ones, which have an upper case but no title case. */
const hasNoOtherTitleCase = /^[\p{Lt}\u10d0-\u10ff]$/u
/** Digraphs such as dž: title case is the one in the middle of three. */
const digraphs = ['\u01c4\u01c5\u01c6', '\u01c7\u01c8\u01c9', '\u01ca\u01cb\u01cc', '\u01f1\u01f2\u01f3']
/** Small Greek letters with an iota below; the title case of each lies 8 or 9 further on. */
const withIotaBelow = /^[\u1f80-\u1f87\u1f90-\u1f97\u1fa0-\u1fa7\u1fb3\u1fc3\u1ff3]$/

/** The simple titlecase mapping of UnicodeData.txt: one character for one. */
export function titleCase(char: string): string {
  if (hasNoOtherTitleCase.test(char)) return char
  const digraph = digraphs.find((forms) => forms.includes(char))
  if (digraph !== undefined) return digraph.charAt(1)
  if (withIotaBelow.test(char)) {
    const code = char.charCodeAt(0)
    return String.fromCharCode(code + (code < 0x1fb0 ? 8 : 9))
  }
  const upper = char.toUpperCase()
  // What becomes several letters (ß) does so by SpecialCasing.txt, which the collation does not know.
  return upper.length === String.fromCodePoint(upper.codePointAt(0)!).length ? upper : char
}
