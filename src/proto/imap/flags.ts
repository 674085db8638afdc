/** Flags on the wire. RFC 9051 §2.3.2, §9 rules flag, flag-list */

const systemFlags = ['\\Answered', '\\Flagged', '\\Deleted', '\\Seen', '\\Draft'] as const

/** A system flag in RFC spelling, whatever its case here; undefined for anything else, \Recent among it. */
export function canonicalFlag(flag: string): string | undefined {
  const lower = flag.toLowerCase()
  return systemFlags.find((known) => known.toLowerCase() === lower)
}

/** "(\Seen $Forwarded)". The flags are atoms (what `TokenReader.flag` reads) or '\*'. */
export function formatFlagList(flags: Iterable<string>): string {
  return `(${[...flags].join(' ')})`
}
