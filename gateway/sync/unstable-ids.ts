/**
 * Servers that give other unique-ids in every session: by them all mail would be new each time. Their messages are told by their headers. Which way
 * a maildrop goes is remembered with it, since origins of the one say nothing in the other. docs/decisions/0180-a-canary-before-the-mail.md
 */
import type { Uid } from '#src/base/ids.ts'
import type { Mailbox } from '#src/store/types.ts'
import type { BackendProfile } from '../backend/profile.ts'
import { Slice } from '../backend/slice.ts'
import type { Listed, PopClient } from '../backend/types.ts'
import type { BackendMemory } from './memory.ts'
import { hasUniqueId, headerDigestsOf, type KnownOrigins, nameByHeader, plainOrigin } from './origin.ts'

/** So many are compared with what is here. */
const comparedMessages = 20

export interface UniqueIdsRequest {
  readonly url: string
  readonly memory: BackendMemory
  readonly profile: BackendProfile
  readonly client: PopClient
  readonly listed: readonly Listed[]
  /** The listing of a session right before says so. */
  readonly changed: boolean
  readonly known: KnownOrigins
}

/** Whether the messages of a maildrop are to be told by their headers although they are listed with unique-ids. Throws BackendError. */
export const goesByHeaders = async (request: UniqueIdsRequest): Promise<boolean> => {
  const { url, memory, profile, client, listed, changed, known } = request
  if (memory.byHeaders === true || changed) return true
  const { learned } = profile
  const origins = [...known.all()].filter(hasUniqueId)
  // What other accounts of the host met with is believed for one that has no mail yet: one that has knows better.
  if (origins.length === 0) return learned.unstableUidls === true
  const named = listed.filter(({ uidl }) => uidl !== '')
  if (memory.keeps || learned.afterRetrieve === 'removes' || named.length === 0) return false
  if (named.some(({ uidl }) => known.has(plainOrigin(url, uidl)))) return false
  const sample = named.slice(0, comparedMessages).map(({ number }) => number)
  const there = [...(await headerDigestsOf(client, sample)).values()]
  const here = new Set<string | undefined>()
  for (const origin of origins) here.add(await known.headerDigest(origin))
  const same = there.filter((digest) => here.has(digest)).length
  return same > 0 && same >= there.length / 2
}

/** What came with a unique-id gets the origin that its header has from now on. Answers whether there was any. */
export const nameByHeaders = async (
  mailbox: Mailbox,
  url: string,
  present: ReadonlyMap<string, Uid>,
  known: KnownOrigins,
): Promise<boolean> => {
  const slice = new Slice()
  const given: [uid: Uid, origin: string][] = []
  const taken = new Set(known.all())
  for (const [origin, uid] of present) {
    if (!hasUniqueId(origin)) continue
    if (slice.isOver()) await slice.next()
    const digest = await known.headerDigest(origin)
    if (digest === undefined) continue
    const name = nameByHeader(url, digest, taken)
    taken.add(name)
    given.push([uid, name])
  }
  if (given.length > 0) await mailbox.giveOrigins(given)
  return given.length > 0
}
