/**
 * Which of several messages with the same header, and without a unique-id of their own, is which. By their order as long as
 * that can do no harm; by the whole message before one of them is deleted. docs/decisions/0086-a-deletion-hits-once.md
 */
import { createHash } from 'node:crypto'
import type { PopClient } from '../backend/types.ts'
import type { KnownOrigins } from './origin.ts'

export const append = <T>(lists: Map<string, T[]>, at: string, item: T): void => {
  const list = lists.get(at)
  if (list === undefined) lists.set(at, [item])
  else list.push(item)
}

/** Origins of one group that the mailbox knows. */
export interface Names {
  /** In the order in which they were given out. */
  readonly all: readonly string[]
  readonly present: readonly string[]
  readonly departed: readonly string[]
  /** Among them there is one whose deletion is to reach the backend. */
  readonly pending: boolean
  /** The origin with this ordinal. */
  of(ordinal: number): string
}

export interface Claim {
  readonly origin: string
  readonly unsure?: true
}

export const namesOf = (ordinals: readonly number[], of: Names['of'], known: KnownOrigins): Names => {
  const all = ordinals.toSorted((a, b) => a - b).map(of)
  const departed = all.filter((origin) => !known.has(origin))
  return {
    all,
    present: all.filter((origin) => known.has(origin)),
    departed,
    pending: departed.some((origin) => known.pending(origin)),
    of,
  }
}

/** Whether the order is not enough: one of `listed` copies may be one to delete, or one that is here vanished and they differ. */
export const needContents = (listed: number, { present, pending }: Names, known: KnownOrigins): boolean => {
  if (listed > present.length) return pending
  return listed < present.length && new Set(present.map((origin) => known.contentDigest(origin))).size > 1
}

/** Those that are here come first: only a copy that is left over can be one that departed. */
export const claimInOrder = (listed: number, { all, present, departed, of }: Names): readonly Claim[] => {
  const names = listed < all.length ? [...present, ...departed] : all
  return [...names, ...unused(listed - names.length, all, of)].slice(0, listed).map((origin) => ({ origin }))
}

/** `contents`: digests of the listed copies; undefined where the backend would not give one, which then is left out. */
export const claimByContents = (
  contents: readonly (string | undefined)[],
  { all, present, departed, of }: Names,
  known: KnownOrigins,
): readonly (Claim | undefined)[] => {
  const claims: (Claim | undefined)[] = contents.map(() => undefined)
  const places = new Map<string, number[]>()
  for (const [at, content] of [...contents.entries()].reverse()) if (content !== undefined) append(places, content, at)
  const unmatched = [...present, ...departed].filter((origin) => {
    const at = places.get(known.contentDigest(origin) ?? '')?.pop()
    if (at !== undefined) claims[at] = { origin }
    return at === undefined
  })
  // A server that changes messages from session to session leaves nothing but the order; then none of them is deleted.
  const changing = present.length > 0 && unmatched.length === all.length
  const open = [...places.values()].flat().sort((a, b) => b - a)
  const next = (claim: Claim) => {
    const at = open.pop()
    if (at !== undefined) claims[at] = claim
  }
  for (const origin of unmatched)
    if (known.has(origin)) {
      if (changing) next({ origin })
    } else if (changing || known.contentDigest(origin) === undefined) next({ origin, unsure: true })
  for (const origin of unused(open.length, all, of)) next({ origin })
  return claims
}

/** So many origins with the lowest ordinals that nobody has. */
const unused = (count: number, all: readonly string[], of: (ordinal: number) => string): readonly string[] => {
  const taken = new Set(all)
  const names: string[] = []
  for (let ordinal = 1; names.length < count; ordinal++) if (!taken.has(of(ordinal))) names.push(of(ordinal))
  return names
}

/** SHA-256 by message number, as the store has it; what the backend refuses is missing. */
export const contentsOf = async (
  client: PopClient,
  numbers: readonly number[],
): Promise<ReadonlyMap<number, string>> => {
  const contents = new Map<number, string>()
  await client.retrieve(
    numbers,
    (number) => {
      const hash = createHash('sha256')
      return {
        write: (chunk) => void hash.update(chunk),
        end: () => void contents.set(number, hash.digest('base64url')),
        abort: () => {},
      }
    },
    () => {},
  )
  return contents
}
