/** GETMETADATA, RFC 5464 §4.2 */
import { formatMetadata, type GetMetadataArgs, readGetMetadataArgs } from '../../proto/imap/metadata.ts'
import type { Metadata } from '../../store/metadata.ts'
import { annotationsOf } from '../annotations.ts'
import { command, loggedIn } from '../command.ts'

export const getMetadata = command({
  name: 'GETMETADATA',
  states: loggedIn,
  capabilities: () => ['METADATA'],
  parse: readGetMetadataArgs,
  async run(session, args) {
    const { mailbox, maxOctets = Number.POSITIVE_INFINITY } = args
    const annotations = await annotationsOf(session, mailbox)
    const found = [...selected(await annotations.read(), args)]
    const told = found.filter(([, value]) => (value?.length ?? 0) <= maxOctets)
    if (told.length > 0) session.output.write(formatMetadata(session.spelling, mailbox, told))
    const largest = Math.max(0, ...found.map(([, value]) => value?.length ?? 0))
    return largest > maxOctets ? { code: `METADATA LONGENTRIES ${largest}` } : undefined
  },
})

/** What is named, and what is below it; what is named and not there as undefined, unless something below it is. */
function selected(metadata: Metadata, { entries, depth }: GetMetadataArgs): Map<string, string | undefined> {
  const found = new Map<string, string | undefined>()
  for (const named of entries) {
    const below = depth === 0 ? [] : [...metadata].filter(([entry]) => isBelow(named, entry, depth))
    const value = metadata.get(named)
    if (value !== undefined || below.length === 0) found.set(named, value)
    for (const [entry, value] of below) found.set(entry, value)
  }
  return found
}

function isBelow(named: string, entry: string, depth: 1 | 'infinity'): boolean {
  return entry.startsWith(`${named}/`) && (depth === 'infinity' || !entry.includes('/', named.length + 1))
}
