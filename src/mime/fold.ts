/** One form for texts that people take for the same, so that one is found in the other. RFC 5051, and further. */

/**
 * Characters are decomposed, compatible ones replaced by what they stand for (NFKD), and in upper case, which does not depend on what stands
 * around them as lower case does (σ, ς). Further than i;unicode-casemap goes: ß is SS, and the i's of Turkish, with and without dot, are one.
 */
export function fold(text: string): string {
  if (isPlain(text)) return text.toUpperCase()
  const folded = text.normalize('NFKD').toUpperCase()
  return /\u1e9e|I\u0307/.test(folded) ? folded.replaceAll('\u1e9e', 'SS').replaceAll('I\u0307', 'I') : folded
}

const isPlain = (text: string): boolean => /^[\0-\x7f]*$/.test(text)
