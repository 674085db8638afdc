/** Rights on mailboxes, from the lists of an old server into those here. docs/decisions/0286-quota-and-rights-of-the-old-server.md */
import { backendUrl } from '#gateway/backend/backend-url.ts'
import { type AclEntryThere, getAcl } from '#gateway/backend/imap/acl.ts'
import type { ImapLogin } from '#gateway/backend/imap/open.ts'
import type { Gateway } from '#gateway/ms_syncd/gateway.ts'
import type { KnownPair } from '#gateway/sync/imap/memory.ts'
import type { AccountSource } from '#src/auth/account-source.ts'
import { StoreError } from '#src/base/errors.ts'
import type { UserId } from '#src/base/ids.ts'
import type { Backend } from '#src/config/backends.ts'
import type { AwaitedRight, AwaitedRights, AwaitedRightsDirectory } from '#src/sharing/awaited-rights.ts'
import { aclOf, changeAclOf } from '#src/sharing/personal-acl.ts'
import { formatRights, type Rights, storedRights } from '#src/sharing/rights.ts'
import { negative } from '#src/store/acl-values.ts'
import { askEach } from './each-mailbox.ts'
import type { Findings } from './findings.ts'
import { isModern, meaningOf, rightsHere } from './identifiers.ts'

export interface RightsParts {
  readonly gateway: Pick<Gateway, 'store' | 'backendsOf'>
  readonly accounts: Pick<AccountSource, 'find'>
  readonly awaited: AwaitedRightsDirectory
}

/** One right of one user, on its way. */
interface Wanted extends AwaitedRight {
  readonly userId: UserId
}

/** Asks about each mailbox once in the life of the account. Throws BackendError of a lost connection, and StoreError. */
export const bringRights = async (
  parts: RightsParts,
  owner: UserId,
  backend: Backend,
  { connection, capabilities }: ImapLogin,
  findings: Findings,
): Promise<void> => {
  const account = parts.gateway.store.account(owner)
  const url = backendUrl(backend, owner)
  const wanted: Wanted[] = []
  const modern = isModern(capabilities)
  const persons = new Persons(parts, backend)
  const note = await askEach(connection, {
    account,
    url,
    key: `rights of ${url}`,
    ask: (path) => getAcl(connection, path),
    answered: async (pair, list) => {
      for (const entry of list) wanted.push(...(await wantedOf(persons, owner, backend, pair, entry, modern, findings)))
    },
    refused: ({ name }, error) => findings.notGivenOn(name, `rights: ${error.message}: ${error.serverText}`),
  })
  const byUser = Map.groupBy(wanted, ({ userId }) => userId)
  for (const [userId, rights] of byUser) await give(parts, owner, userId, rights, findings)
  await note()
}

const wantedOf = async (
  persons: Persons,
  owner: UserId,
  backend: Backend,
  { name, idHere }: KnownPair,
  { identifier, rights: letters }: AclEntryThere,
  modern: boolean,
  findings: Findings,
): Promise<readonly Wanted[]> => {
  const meaning = meaningOf(identifier, owner, backend.user)
  if (meaning.kind === 'own') return []
  const { rights, left } = rightsHere(letters, modern)
  // What everybody has at such a server, to deliver there.
  if (formatRights(rights) === 'p' && meaning.kind === 'unknown') return []
  const entry = `rights: "${identifier}" has ${letters} there`
  if (meaning.kind === 'unknown') {
    findings.notGivenOn(name, `${entry}: ${meaning.why}`)
    return []
  }
  const { userId, isNegative } = meaning
  const other = await persons.whyAnother(meaning.called, userId)
  if (other !== undefined) {
    findings.notGivenOn(name, `${entry}: ${other}`)
    return []
  }
  if (left !== '' && !isNegative) findings.notGivenOn(name, `${entry}: nobody but the owner has ${left} here`)
  if (rights.size === 0) return []
  return [
    { userId, mailbox: idHere, name, identifier: (isNegative ? negative : '') + userId, rights: formatRights(rights) },
  ]
}

/** Whether a name at the old server is the user of that name here: records may say otherwise. */
class Persons {
  readonly #gateway: RightsParts['gateway']
  readonly #backend: Backend
  readonly #known = new Map<UserId, string | undefined>()

  constructor({ gateway }: RightsParts, backend: Backend) {
    this.#gateway = gateway
    this.#backend = backend
  }

  /** Undefined: it is he. Throws AuthError: the records can't be read. */
  async whyAnother(called: string, userId: UserId): Promise<string | undefined> {
    if (!this.#known.has(userId)) this.#known.set(userId, await this.#look(called, userId))
    return this.#known.get(userId)
  }

  async #look(called: string, userId: UserId): Promise<string | undefined> {
    const backends = await this.#gateway.backendsOf(called, userId)
    const { host } = this.#backend
    const at = (user: string) => backendUrl({ ...this.#backend, user }, userId)
    const isHe = [backends?.master, ...(backends?.extra ?? [])].some(
      (other) => other?.host === host && at(other.user) === at(called),
    )
    return isHe ? undefined : `the mail of ${userId} comes from elsewhere, by ms_sync.xml`
  }
}

/** How a line of the owner's record begins, until the user is here. */
export const awaitedText = (userId: UserId): string =>
  `rights: ${userId} is not here yet, and gets them when his own mail is moved`

/** At once, or when the user is here. Throws StoreError. */
const give = async (
  parts: RightsParts,
  owner: UserId,
  userId: UserId,
  rights: readonly Wanted[],
  findings: Findings,
): Promise<void> => {
  // First, then the look: who comes meanwhile finds one or the other.
  const awaited = await parts.awaited.add({
    user: userId,
    owner,
    rights: rights.map(({ userId: _, ...right }) => right),
  })
  if ((await parts.accounts.find(userId)) === undefined) {
    const what = rights.map(({ name, rights: letters }) => `${letters} on ${JSON.stringify(name)}`).join(', ')
    findings.notGiven(`${awaitedText(userId)}: ${what}`)
    return
  }
  for (const line of await giveAwaited(parts, awaited)) findings.given(line)
}

/**
 * To a user who is here now; what was noted of the two is forgotten. By the ids of mailboxes: they may have other names by now, or get them just now. Answers what was
 * given. Throws StoreError unavailable.
 */
export const giveAwaited = async (
  { gateway: { store }, awaited }: Pick<RightsParts, 'awaited'> & { readonly gateway: Pick<Gateway, 'store'> },
  { user, owner, rights }: AwaitedRights,
): Promise<readonly string[]> => {
  const account = store.account(owner)
  // He is being renamed, or has no mail any more.
  if (!(await account.exists())) return []
  const given: string[] = []
  for (const { mailbox, name, identifier, rights: letters } of rights) {
    // What the owner says here counts.
    if ((await aclOf(account, mailbox)).has(identifier)) continue
    const set: Rights = storedRights(letters)
    try {
      await changeAclOf(store, owner, mailbox, identifier, { mode: 'set', rights: set })
      given.push(`rights: ${identifier} has ${formatRights(set)} on ${JSON.stringify(name)} of ${owner}`)
    } catch (error) {
      // A list that is full.
      if (!(error instanceof StoreError) || error.kind === 'unavailable') throw error
    }
  }
  await awaited.forget({ user, owner })
  return given
}
