/** Compiled scripts that were used lately, by what is in them. Users of one site have many messages and few scripts. */

import { createHash } from 'node:crypto'
import { compile } from './compile.ts'
import type { Compiled } from './types.ts'

interface Entry {
  readonly compiled: Compiled
  readonly octets: number
}

/** Octets of scripts; compiled they take about ten times that. */
const mostOctets = 8 * 1024 * 1024

/** The one that was used longest ago comes first. */
const entries = new Map<string, Entry>()
let totalOctets = 0

/** What `compile` says of the octets, with all extensions. */
export function compileCached(octets: Uint8Array): Compiled {
  const digest = createHash('sha256').update(octets).digest('base64')
  const known = entries.get(digest)
  if (known !== undefined) {
    entries.delete(digest)
    entries.set(digest, known)
    return known.compiled
  }
  const compiled = compile(octets)
  entries.set(digest, { compiled, octets: octets.length })
  totalOctets += octets.length
  for (const [oldest, entry] of entries) {
    if (totalOctets <= mostOctets || oldest === digest) break
    entries.delete(oldest)
    totalOctets -= entry.octets
  }
  return compiled
}
