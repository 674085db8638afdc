/** `:user` and `:detail` of a local part. RFC 5233 */

import type { Extension } from '../language.ts'

export const subaddress: Extension = {
  capability: 'subaddress',
  addressParts: [
    {
      name: 'user',
      of({ localPart, domain }, separator) {
        if (domain === undefined) return undefined
        const at = localPart.indexOf(separator)
        return at < 0 ? localPart : localPart.slice(0, at)
      },
    },
    {
      name: 'detail',
      // An empty detail is one; without a separator there is none, and nothing matches. §4
      of({ localPart, domain }, separator) {
        const at = localPart.indexOf(separator)
        return domain === undefined || at < 0 ? undefined : localPart.slice(at + separator.length)
      },
    },
  ],
}
