/**
 * Messages that are here already and are listed under other names: a provider moved to another server, or gives other unique-ids in every session.
 * They are told by their headers, several with the same header by their octets. docs/decisions/0183-maildrops-under-new-names.md
 */
import type { Uid } from '#src/base/ids.ts'
import type { Mailbox } from '#src/store/types.ts'
import { Slice } from '../backend/slice.ts'
import type { PopClient } from '../backend/types.ts'
import { append, contentsOf } from './copies.ts'
import { headerDigest } from './header.ts'
import type { Identified, KnownOrigins } from './origin.ts'

export interface RematchRequest {
  readonly client: PopClient
  readonly mailbox: Mailbox
  readonly listed: readonly Identified[]
  readonly known: KnownOrigins
  /** By origin; those that were found have another one afterwards. */
  readonly present: Map<string, Uid>
}

/** Answers how many were found. Asks the backend only when more than half of what is here is not listed, and something else is. */
export const rematch = async ({ client, mailbox, listed, known, present }: RematchRequest): Promise<number> => {
  const slice = new Slice()
  const origins = new Set<string>()
  for (const { origin } of listed) {
    if (slice.isOver()) await slice.next()
    origins.add(origin)
  }
  const unlisted: string[] = []
  for (const origin of present.keys()) {
    if (slice.isOver()) await slice.next()
    if (!origins.has(origin)) unlisted.push(origin)
  }
  if (unlisted.length <= present.size / 2) return 0
  const remembered = new Set(known.all())
  const strangers = listed.filter(({ origin }) => !remembered.has(origin))
  if (strangers.length === 0) return 0

  const byHeader = new Map<string, Identified[]>()
  const byNumber = new Map(strangers.map((entry) => [entry.number, entry]))
  const take = (number: number, octets: Buffer) => append(byHeader, headerDigest(octets), byNumber.get(number)!)
  await client.top([...byNumber.keys()], 0, take, () => {})
  const here = new Map<string, string[]>()
  for (const origin of unlisted) {
    const digest = await known.headerDigest(origin)
    if (digest !== undefined && byHeader.has(digest)) append(here, digest, origin)
  }

  const pairs: [old: string, now: string][] = []
  const alike: Identified[] = []
  for (const [digest, olds] of here) {
    const entries = byHeader.get(digest)!
    if (olds.length === 1 && entries.length === 1) pairs.push([olds[0]!, entries[0]!.origin])
    else alike.push(...entries)
  }
  const contents = await contentsOf(
    client,
    alike.map(({ number }) => number),
  )
  const byContent = new Map<string, string[]>()
  for (const { number, origin } of alike) {
    const content = contents.get(number)
    if (content !== undefined) append(byContent, content, origin)
  }
  for (const olds of here.values())
    for (const old of olds) {
      const now = byContent.get(known.contentDigest(old) ?? '')?.shift()
      if (now !== undefined) pairs.push([old, now])
    }

  if (pairs.length === 0) return 0
  await mailbox.giveOrigins(pairs.map(([old, now]) => [present.get(old)!, now] as const))
  for (const [old, now] of pairs) {
    present.set(now, present.get(old)!)
    present.delete(old)
  }
  return pairs.length
}
