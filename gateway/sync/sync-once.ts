import type { Clock } from '#src/base/clock.ts'
import { StoreError } from '#src/base/errors.ts'
import type { UserId } from '#src/base/ids.ts'
import type { Log } from '#src/base/log.ts'
import type { Backend } from '#src/config/backends.ts'
import type { Account, Store } from '#src/store/types.ts'
import { refuseAcceptAll } from '../backend/accept-all.ts'
import { backendUrl } from '../backend/backend-url.ts'
import { type BackendAccess, openBackend, openImapBackend } from '../backend/open-backend.ts'
import { openFilled } from './filled-mailbox.ts'
import { awaitedElsewhere } from './imap/awaited.ts'
import { readBelonging } from './imap/belonging.ts'
import { syncAccount } from './imap/pass.ts'
import type { Injection } from './inject/injector.ts'
import type { Policy } from './plan.ts'
import type { Setbacks } from './setbacks.ts'
import { type SyncResult, syncMaildrop } from './sync.ts'

/** What the options say, of backends of either protocol. */
export interface SyncPolicy extends Policy {
  /** GW-19, IMAP only. */
  readonly fetchSetSize: number
  /** GW-22, IMAP only. */
  readonly inboxOnly: boolean
  /** Mailboxes and messages here have the UIDVALIDITY and UIDs of the backend, where they can. Migration; IMAP only. */
  readonly keepUids?: boolean | undefined
  /** All messages are there before their bodies come, which come newest first. Migration; IMAP only. */
  readonly announces?: boolean | undefined
}

export interface SyncOnceRequest {
  readonly backend: Backend
  /** The user's other ones. */
  readonly others: readonly Backend[]
  readonly userId: UserId
  /** The user's, which the session proves; undefined: the gateway logs in in the user's place. */
  readonly password: Buffer | undefined
  readonly store: Store
  readonly access: BackendAccess
  readonly policy: SyncPolicy
  readonly injection: Injection
  readonly setbacks: Setbacks
  readonly clock: Clock
  readonly log: Log
  /** Called when the backend accepted the login and showed a maildrop, and the account is there; nothing is fetched yet. */
  readonly onProven?: () => void
  /** Called when a client may work: after `onProven`, and where the policy announces, after that. */
  readonly onUsable?: () => void
  /** Where the policy announces: waited for now and then, as long as a client that waits is to go before. */
  readonly rest?: () => Promise<void>
  readonly signal?: AbortSignal
}

/**
 * One backend session from login to QUIT, or two (`canary.ts`). The account and the mailbox are made when they are missing, but only after the
 * backend has proven the login. Throws BackendError and StoreError.
 */
export const syncOnce = async (request: SyncOnceRequest): Promise<SyncResult> => {
  const { backend, userId, password, store, access, injection, setbacks, clock, log, onProven, signal } = request
  const profile = access.profiles.of(backend.host, backend.port)
  const account = store.account(userId)
  // A login in the user's place proves no password.
  if (password !== undefined && (request.policy.pullOnly || !(await account.exists()))) {
    const openSession = isImap(backend) ? openImapBackend : openBackend
    await refuseAcceptAll(profile, clock, (secret) => openSession(access, backend, secret, log, signal))
  }
  if (isImap(backend)) return syncImap(request)
  const open = () => openBackend(access, backend, password, log, signal)
  const client = await open()
  try {
    await account.ensure()
    await needLive(store, account, onProven)
    const url = backendUrl(backend, userId)
    const policy = await policyFor(account, url, request.policy)
    await using mailbox = await openFilled(account, backend.mailbox, url)
    onProven?.()
    request.onUsable?.()
    const awaited = async () => {
      const belonging = await readBelonging(account, userId, undefined, request.others, policy.inboxOnly)
      return (await awaitedElsewhere(account, belonging)).get(mailbox.id) ?? new Set<string>()
    }
    const target = { account, mailbox, policy, awaited, injection, setbacks, clock, log }
    return await syncMaildrop({ url, client, reopen: open, profile, ...target })
  } finally {
    client.close()
  }
}

/** Nothing is fetched for a user whose mail lies in an archive, nor deleted at the backend; but he may log in, and read it. Throws StoreError. */
const needLive = async (store: Store, account: Account, onProven: (() => void) | undefined): Promise<void> => {
  const { root } = await account.locate()
  if (!store.archives.includes(root)) return
  onProven?.()
  throw new StoreError('no-permission', 'The mail of this user lies in an archive, which is only read')
}

const historyKey = (url: string): string => `history ${url}`

/** What was migrated is the user's only copy as soon as the old server goes: in later passes fetch_last_n does not take it away. */
const policyFor = async (account: Account, url: string, policy: SyncPolicy): Promise<SyncPolicy> => {
  const isWhole = (await account.get(historyKey(url))) !== undefined
  if (policy.pullOnly === true && !isWhole) await account.put({ [historyKey(url)]: { migrated: true } })
  return isWhole ? { ...policy, fetchLastN: 0 } : policy
}

const isImap = ({ protocol }: Backend): boolean => protocol === 'imap' || protocol === 'imaps'

const syncImap = async ({
  backend,
  others,
  userId,
  password,
  store,
  access,
  policy,
  injection,
  setbacks,
  clock,
  log,
  onProven,
  onUsable,
  rest,
  signal,
}: SyncOnceRequest): Promise<SyncResult> => {
  const session = await openImapBackend(access, backend, password, log, signal)
  try {
    const account = store.account(userId)
    await account.ensure()
    await needLive(store, account, onProven)
    onProven?.()
    const url = backendUrl(backend, userId)
    const { fetchLastN, fetchSetSize, inboxOnly, pullOnly, keepUids, announces } = await policyFor(account, url, policy)
    if (announces !== true) onUsable?.()
    const prefix = backend.mailbox
    const belonging = await readBelonging(account, userId, prefix, others, inboxOnly)
    const imap = { prefix, belonging, fetchLastN, fetchSetSize, inboxOnly, pullOnly, keepUids, announces }
    const sides = { url, session, account, policy: imap, injection, setbacks, clock, log }
    const result = await syncAccount({ ...sides, onUsable, rest: announces === true ? rest : undefined })
    await session.logout()
    return result
  } finally {
    session.close()
  }
}
