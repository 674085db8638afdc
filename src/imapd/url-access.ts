/** Whether a URL gives a session what it names. RFC 4467 §3, §6; IMAP-12. docs/decisions/0316-urlauth.md */

import { StoreError } from '../base/errors.ts'
import type { MailboxId, UserId } from '../base/ids.ts'
import type { ImapUrl, UrlAccess } from '../proto/imap/url.ts'
import { Hierarchy } from '../sharing/hierarchy.ts'
import type { Account } from '../store/types.ts'
import type { Prepared } from './bodies.ts'
import type { Session } from './session.ts'
import { isToken, mechanism, UrlKeys } from './url-keys.ts'
import { openUrlMessage } from './url-part.ts'

/** Its members submit messages for others. */
const submitters = 'submit'

/** The message that the URL names, with the rights of its owner; undefined: the URL is not valid, or not for this user, or there is no such message. Throws StoreError. */
export async function openAuthorised(
  session: Session,
  url: ImapUrl,
  options: { readonly needsSummary: boolean },
): Promise<Prepared | undefined> {
  const { verifier, user, access, mailbox } = url
  if (verifier?.mechanism !== mechanism || user === undefined || access === undefined || mailbox === undefined)
    return undefined
  const { userIdOf } = session.services.settings()
  try {
    const found = await find(session, userIdOf(user), mailbox)
    const isValid =
      found === undefined
        ? isToken(undefined, verifier.rump, verifier.token)
        : await found.keys.isValid(found.id, verifier.rump, verifier.token)
    const isExpired = url.expire !== undefined && session.services.clock.now() > url.expire
    if (found === undefined || !isValid || isExpired || !isFor(session, access)) return undefined
    return await openUrlMessage(found.account, found.local, url, options)
  } catch (error) {
    if (error instanceof StoreError && isAboutUrl.has(error.kind)) return undefined
    throw error
  }
}

const isAboutUrl: ReadonlySet<string> = new Set(['not-found', 'no-permission', 'invalid', 'expunged'])

interface Found {
  readonly account: Account
  readonly local: string
  readonly id: MailboxId
  readonly keys: UrlKeys
}

/** As the owner sees it now. */
async function find(session: Session, owner: UserId | undefined, mailbox: string): Promise<Found | undefined> {
  if (owner === undefined) return undefined
  const { store, settings } = session.services
  try {
    const hierarchy = new Hierarchy(owner, store, () => settings().sharing, session.log)
    const { account, local } = await hierarchy.permitExisting(mailbox, 'r')
    const keys = new UrlKeys(store.account(owner))
    return { account, local, id: await keys.mailboxIn(account, local), keys }
  } catch (error) {
    if (error instanceof StoreError && isAboutUrl.has(error.kind)) return undefined
    throw error
  }
}

/** There are no anonymous sessions here, so what is for any user is for every session. */
function isFor(session: Session, access: UrlAccess): boolean {
  const { sharing, userIdOf } = session.services.settings()
  switch (access.kind) {
    case 'submit':
      return sharing.identityOf(session.userId).groups.has(submitters)
    case 'user':
      return userIdOf(access.user) === session.userId
    case 'authuser':
    case 'anonymous':
      return true
  }
}
