/** A message whose octets are all in memory, for scripts. */

import { scan } from '../mime/scan.ts'
import type { Envelope, SieveMessage } from './types.ts'

export function messageInMemory(octets: Buffer, envelope: Envelope): SieveMessage {
  return {
    header: octets.subarray(0, headerEnd(octets)),
    sizeOctets: octets.length,
    envelope,
    structure: async () => scan(octets),
    read: async (start, end) => octets.subarray(start, end),
  }
}

/** Behind the empty line; all of it where there is none. Lines end in LF, with or without CR. */
export function headerEnd(octets: Buffer): number {
  if (octets[0] === 10) return 1
  if (octets[0] === 13 && octets[1] === 10) return 2
  for (let at = octets.indexOf(10); at >= 0; at = octets.indexOf(10, at + 1)) {
    if (octets[at + 1] === 10) return at + 2
    if (octets[at + 1] === 13 && octets[at + 2] === 10) return at + 3
  }
  return octets.length
}
