/** CANCELUPDATE. RFC 5267 §4.3.5, §5 */

import type { TokenReader } from './token-reader.ts'

/** `1*(SP quoted) CRLF`: tags of searching commands. */
export function readCancelUpdateArgs(input: TokenReader): readonly string[] {
  const tags: string[] = []
  do {
    input.sp()
    tags.push(input.string('tag'))
  } while (input.peek() === ' ')
  input.end()
  return tags
}
