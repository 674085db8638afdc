/** What is left of a subject without its artifacts. RFC 5256 §2.1, with the ABNF of its §5 */

export interface BaseSubject {
  readonly text: string
  /** Something was removed that replies and forwarded messages have. RFC 5256 §3, REFERENCES */
  readonly isReply: boolean
}

const open = '['.charCodeAt(0)
const close = ']'.charCodeAt(0)
const trailer = '(fwd)'
const forwardHeader = '[fwd:'

/** Of a subject in characters, its encoded words decoded. Linear: what lies behind a failed attempt is not looked at again. */
export function baseSubject(subject: string): BaseSubject {
  // Step 1
  const text = subject.replace(/[ \t\r\n]+/g, ' ')
  const lower = text.toLowerCase().length === text.length ? text.toLowerCase() : asciiLowerCase(text)
  let start = 0
  let end = text.length
  let isReply = false
  for (;;) {
    // Step 2
    for (;;)
      if (end > start && lower[end - 1] === ' ') end -= 1
      else if (end - start >= trailer.length && lower.endsWith(trailer, end)) {
        end -= trailer.length
        isReply = true
      } else break
    // Steps 3 to 5
    for (;;) {
      while (start < end && lower[start] === ' ') start += 1
      const blobs = skipBlobs(lower, start, end)
      const leader = skipRefwd(lower, blobs.end, end)
      if (leader !== undefined) {
        start = leader
        isReply = true
        continue
      }
      // No leader stands behind these blobs, nor behind fewer of them: all go, but the last one when nothing else is left.
      start = blobs.end < end ? blobs.end : blobs.last
      break
    }
    // Step 6
    if (!lower.startsWith(forwardHeader, start) || end - start <= forwardHeader.length || lower[end - 1] !== ']')
      return { text: text.slice(start, end), isReply }
    start += forwardHeader.length
    end -= 1
    isReply = true
  }
}

/** `*subj-blob`: where they end, and where the last one begins. */
function skipBlobs(text: string, from: number, end: number): { readonly end: number; readonly last: number } {
  let at = from
  let last = from
  for (;;) {
    const behind = skipBlob(text, at, end)
    if (behind === at) return { end: at, last }
    last = at
    at = behind
  }
}

/** `"[" *BLOBCHAR "]" *WSP`; `at` where there is none. */
function skipBlob(text: string, at: number, end: number): number {
  if (at >= end || text.charCodeAt(at) !== open) return at
  let behind = at + 1
  while (behind < end && text.charCodeAt(behind) !== open && text.charCodeAt(behind) !== close) behind += 1
  if (behind >= end || text.charCodeAt(behind) !== close) return at
  behind += 1
  while (behind < end && text[behind] === ' ') behind += 1
  return behind
}

/** `("re" / ("fw" ["d"])) *WSP [subj-blob] ":"`; undefined where there is none. */
function skipRefwd(text: string, at: number, end: number): number | undefined {
  const word = ['re', 'fwd', 'fw'].find((prefix) => text.startsWith(prefix, at))
  if (word === undefined) return undefined
  let behind = at + word.length
  while (behind < end && text[behind] === ' ') behind += 1
  behind = skipBlob(text, behind, end)
  return behind < end && text[behind] === ':' ? behind + 1 : undefined
}

/** Some letters have a lower case of another length; the artifacts are in ASCII. */
const asciiLowerCase = (text: string): string => text.replace(/[A-Z]/g, (letter) => letter.toLowerCase())
