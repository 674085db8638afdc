/** The annotations of a mailbox or of the server, as one user has them: what may be read and changed, and where each is kept. RFC 5464 §3, RFC 6154 §5.4 */

import { StoreError } from '../base/errors.ts'
import type { MailboxId } from '../base/ids.ts'
import type { Right, Rights } from '../sharing/rights.ts'
import { type Annotated, type Metadata, metadataOf, putMetadata } from '../store/metadata.ts'
import { assignedUses, assignUses, usesOf } from '../store/special-use.ts'
import type { Account } from '../store/types.ts'
import { Refusal } from './replies.ts'
import type { Session } from './session.ts'
import { assignableUses } from './uses.ts'

/** Not kept as an annotation: what LIST tells. RFC 6154 §5.4 */
const specialUse = '/private/specialuse'
/** Beside `l`, one of these has to be there. RFC 5464 §3.3 */
const anyOf: readonly Right[] = ['r', 's', 'w', 'i', 'p']

export const mayAnnotate = (rights: Rights): boolean => anyOf.some((right) => rights.has(right))

export interface Annotations {
  /** As they are now. Throws StoreError. */
  read(): Promise<Metadata>
  /** Sets or (undefined) removes, all or none. Throws Refusal, StoreError. */
  write(changes: ReadonlyMap<string, string | undefined>): Promise<void>
  /** Undefined for the server. */
  readonly mailbox: { readonly account: Account; readonly local: string } | undefined
}

/** `name`: empty for the server. Throws StoreError not-found, no-permission. */
export async function annotationsOf(session: Session, name: string): Promise<Annotations> {
  if (name === '') return ofServer(session)
  const { account, local, rights, rightsOn } = await session.hierarchy.permit(name)
  const id = await account.findId(local)
  if (id === undefined) throw new StoreError('not-found', 'The mailbox does not exist')
  if (!mayAnnotate(rights)) throw noPermission(anyOf.join(' or '))
  const shared: Annotated = { place: 'here', id }
  const own: Annotated = rightsOn === undefined ? shared : { place: 'elsewhere', id }
  const isOwn = rightsOn === undefined
  return {
    mailbox: { account, local },
    read: async () => {
      const ours = await metadataOf(session.account, own)
      // Beside shared ones there are those that the owner keeps for himself.
      const theirs = isOwn ? [] : [...(await metadataOf(account, shared))].filter(([entry]) => isShared(entry))
      const uses = isOwn ? ((await usesOf(account)).get(local) ?? []) : []
      return new Map([...theirs, ...ours, ...(uses.length === 0 ? [] : [[specialUse, uses.join(' ')] as const])])
    },
    write: async (changes) => {
      if (changes.keys().some(isShared) && !rights.has('w')) throw noPermission('w')
      const use = changes.has(specialUse)
        ? await newUses(session, isOwn, local, id, changes.get(specialUse))
        : undefined
      const kept = new Map([...changes].filter(([entry]) => entry !== specialUse))
      if (isOwn) await put(account, shared, kept)
      else await putInTwo(account, shared, session.account, own, kept)
      if (use !== undefined) await assignUses(account, { id, name: local }, use)
    },
  }
}

export const isShared = (entry: string) => entry.startsWith('/shared/')

/** What everybody is told is said by the configuration. RFC 5464 §3.2.1.1 */
function ofServer(session: Session): Annotations {
  const own: Annotated = { place: 'server', id: '' }
  return {
    mailbox: undefined,
    read: async () => {
      const { serverAdmin, serverComment } = session.services.settings()
      const told = [
        ['/shared/admin', serverAdmin],
        ['/shared/comment', serverComment],
      ].filter((entry): entry is [string, string] => entry[1] !== undefined && entry[1] !== '')
      return new Map([
        ...told.map(([entry, value]) => [entry, Buffer.from(value).toString('latin1')] as const),
        ...(await metadataOf(session.account, own)),
      ])
    },
    write: async (changes) => {
      if (changes.keys().some(isShared))
        throw new StoreError('no-permission', 'What everybody is told of the server is said by its configuration')
      await put(session.account, own, changes)
    },
  }
}

async function put(account: Account, what: Annotated, changes: ReadonlyMap<string, string | undefined>): Promise<void> {
  if (changes.size === 0) return
  try {
    await putMetadata(account, what, changes)
  } catch (error) {
    if (error instanceof StoreError && error.kind === 'limit')
      throw new Refusal('NO', 'METADATA TOOMANY', error.message)
    throw error
  }
}

/** Shared ones with the mailbox, private ones with the user: what came first is taken back when the rest can't be. RFC 5464 §4.3 */
async function putInTwo(
  account: Account,
  shared: Annotated,
  userAccount: Account,
  own: Annotated,
  changes: ReadonlyMap<string, string | undefined>,
): Promise<void> {
  const [toShared, toOwn] = [true, false].map(
    (side) => new Map([...changes].filter(([entry]) => isShared(entry) === side)),
  ) as [Map<string, string | undefined>, Map<string, string | undefined>]
  const before = await metadataOf(account, shared)
  await put(account, shared, toShared)
  try {
    await put(userAccount, own, toOwn)
  } catch (error) {
    await put(account, shared, new Map(Array.from(toShared.keys(), (entry) => [entry, before.get(entry)])))
    throw error
  }
}

/** What the mailbox is to be used for. Throws Refusal with USEATTR. */
async function newUses(
  session: Session,
  isOwn: boolean,
  local: string,
  id: MailboxId,
  value: string | undefined,
): Promise<readonly string[]> {
  if (!isOwn || local === 'INBOX')
    throw new Refusal('NO', 'USEATTR', 'Only a mailbox of the own account, and not INBOX, can be used for something')
  const uses = assignableUses((value ?? '').split(' ').filter((use) => use !== ''))
  const { account } = session
  if (uses.length === 0 && (await assignedUses(account, id)).length === 0 && (await usesOf(account)).has(local))
    throw new Refusal('NO', 'USEATTR', 'The mail server behind says what this mailbox is used for')
  return uses
}

function noPermission(missing: string): StoreError {
  return new StoreError('no-permission', `Not permitted: needs the right ${missing} here`)
}
