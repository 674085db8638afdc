/** The mailboxes that a script names, with the rights of the user whose script it is. SV-05 */
import { StoreError, type StoreErrorKind } from '../../base/errors.ts'
import type { Hierarchy } from '../../sharing/hierarchy.ts'
import type { Right } from '../../sharing/rights.ts'
import { type Metadata, metadataOf } from '../../store/metadata.ts'
import { usesOf } from '../../store/special-use.ts'
import type { Account, Flag } from '../../store/types.ts'
import type { Placing } from '../types.ts'

/** What an action says of where a message goes. */
export interface Destination {
  readonly mailbox: string
  readonly flags?: readonly string[] | undefined
  readonly create?: boolean | undefined
  readonly specialUse?: string | undefined
}

export interface Mailboxes {
  /** Throws StoreError for one that the user can't file into. */
  placing(destination: Destination): Promise<Placing>
  /** Whether `placing` could be used without making a mailbox. RFC 5490 §3.1 */
  exists(name: string): Promise<boolean>
  /** RFC 8579 §3 */
  hasUses(name: string | undefined, uses: readonly string[]): Promise<boolean>
  /** RFC 5490 §3.3; a mailbox of nobody's name is the server. */
  annotation(name: string | undefined, entry: string): Promise<string | undefined>
}

const absent: readonly StoreErrorKind[] = ['not-found', 'no-permission', 'invalid', 'limit']
const systemFlags = ['\\Answered', '\\Flagged', '\\Deleted', '\\Seen', '\\Draft']
/** The atom of RFC 9051 §9, as long as the store takes it. */
const keyword = /^[^\x00-\x20\x7f-\uffff(){%*"\\\]]{1,255}$/

export function mailboxesOf(
  account: Account,
  hierarchy: Hierarchy,
  server: () => ReadonlyMap<string, string>,
): Mailboxes {
  const withUse = async (use: string) =>
    [...(await usesOf(account))].find(([, uses]) => uses.some((each) => same(each, use)))?.[0]

  const permitted = async (name: string, create: boolean) => {
    try {
      return await hierarchy.permit(name, 'i')
    } catch (error) {
      if (!create || !(error instanceof StoreError) || error.kind !== 'not-found') throw error
      await hierarchy.create(name)
      return await hierarchy.permit(name, 'i')
    }
  }

  return {
    async placing({ mailbox, flags = [], create = false, specialUse }) {
      const name = (specialUse === undefined ? undefined : await withUse(specialUse)) ?? mailbox
      const place = await permitted(name, create)
      const known = flags.flatMap((flag) => knownFlag(flag) ?? [])
      if (place.rightsOn === undefined) return { mailbox: place.local, flags: known, create }
      const allowed = known.filter((flag) => place.rights.has(rightFor(flag)))
      return { mailbox: place.local, account: place.account, flags: allowed, create: false }
    },
    async exists(name) {
      return (await unlessAbsent(hierarchy.permitExisting(name, 'i'))) !== undefined
    },
    async hasUses(name, uses) {
      const known = await usesOf(account)
      const candidates = name === undefined ? [...known.values()].flat() : (known.get(name) ?? [])
      return uses.every((use) => candidates.some((each) => same(each, use)))
    },
    async annotation(name, given) {
      const entry = given.toLowerCase()
      if (name === undefined)
        return server().get(entry) ?? textOf(await metadataOf(account, { place: 'server', id: '' }), entry)
      const place = await unlessAbsent(hierarchy.permitExisting(name, 'r'))
      const id = await place?.account.findId(place.local)
      if (place === undefined || id === undefined) return undefined
      const isHere = place.rightsOn === undefined || entry.startsWith('/shared/')
      const kept = isHere
        ? metadataOf(place.account, { place: 'here', id })
        : metadataOf(account, { place: 'elsewhere', id })
      return textOf(await kept, entry)
    },
  }
}

/** Undefined for one that can't be kept. RFC 5232 §2 */
export function knownFlag(flag: string): Flag | undefined {
  if (flag.startsWith('\\')) return systemFlags.find((each) => same(each, flag))
  return keyword.test(flag) ? flag : undefined
}

/** Annotations are octets, nearly always UTF-8. */
const textOf = (metadata: Metadata, entry: string): string | undefined => {
  const value = metadata.get(entry)
  return value === undefined ? undefined : Buffer.from(value, 'latin1').toString()
}

/** RFC 4314 §4 */
const rightFor = (flag: Flag): Right => (flag === '\\Seen' ? 's' : flag === '\\Deleted' ? 't' : 'w')

const same = (a: string, b: string): boolean => a.toLowerCase() === b.toLowerCase()

async function unlessAbsent<T>(asked: Promise<T>): Promise<T | undefined> {
  try {
    return await asked
  } catch (error) {
    if (error instanceof StoreError && absent.includes(error.kind)) return undefined
    throw error
  }
}
