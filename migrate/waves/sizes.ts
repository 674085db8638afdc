/** Adds up what a listing says of messages. */
import { defaultLimits } from '#gateway/backend/types.ts'
import type { Risk } from './risks.ts'

export interface Sizes {
  add(octets: number, mailbox: string): void
  readonly counts: { readonly messages: number; readonly octets: number; readonly largest: number }
  risks(): readonly Risk[]
}

const mega = 1 << 20

export const sizes = (): Sizes => {
  const counts = { messages: 0, octets: 0, largest: 0 }
  const oversized: string[] = []
  let empty = 0
  return {
    counts,
    add(octets, mailbox) {
      counts.messages += 1
      counts.octets += octets
      counts.largest = Math.max(counts.largest, octets)
      if (octets === 0) empty += 1
      if (octets > defaultLimits.messageOctets)
        oversized.push(`${Math.round(octets / mega)} MB in ${JSON.stringify(mailbox)}`)
    },
    risks: () => [
      ...(oversized.length === 0
        ? []
        : [
            {
              kind: 'oversized',
              found: `${oversized.slice(0, 5).join(', ')} (${oversized.length} in all; ${defaultLimits.messageOctets / mega} MB are taken)`,
            } as const,
          ]),
      ...(empty === 0 ? [] : [{ kind: 'empty-messages', found: `${empty}` } as const]),
    ],
  }
}
