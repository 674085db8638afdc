import type { Clock } from '#src/base/clock.ts'
import { StoreError } from '#src/base/errors.ts'
import type { UserId } from '#src/base/ids.ts'
import type { Log } from '#src/base/log.ts'
import type { Backend } from '#src/config/backends.ts'
import type { Account, Mailbox, Store } from '#src/store/types.ts'
import { maildropUrl } from '../backend/maildrop-url.ts'
import { type BackendAccess, openBackend } from '../backend/open-backend.ts'
import type { Policy } from './plan.ts'
import type { Setbacks } from './setbacks.ts'
import { type SyncResult, syncMaildrop } from './sync.ts'

export interface SyncOnceRequest {
  readonly backend: Backend
  readonly userId: UserId
  readonly password: Buffer
  readonly store: Store
  readonly access: BackendAccess
  readonly policy: Policy
  readonly setbacks: Setbacks
  readonly clock: Clock
  readonly log: Log
  /** Called when the backend accepted the login and showed a maildrop, and the account is there; nothing is fetched yet. */
  readonly onProven?: () => void
  readonly signal?: AbortSignal
}

/**
 * One backend session from login to QUIT. The account and the mailbox are made when they are missing, but only after the
 * backend has proven the login. Throws BackendError and StoreError.
 */
export const syncOnce = async (request: SyncOnceRequest): Promise<SyncResult> => {
  const { backend, userId, password, store, access, policy, setbacks, clock, log, onProven, signal } = request
  const client = await openBackend(access, backend, password, log, signal)
  try {
    const account = store.account(userId)
    await account.ensure()
    await using mailbox = await openMailbox(account, backend.mailbox)
    onProven?.()
    const url = maildropUrl(backend, userId)
    return await syncMaildrop({ url, client, account, mailbox, policy, setbacks, clock, log })
  } finally {
    client.close()
  }
}

const openMailbox = async (account: Account, name: string): Promise<Mailbox> => {
  try {
    return await account.open(name)
  } catch (error) {
    if (!(error instanceof StoreError) || error.kind !== 'not-found') throw error
  }
  await account.create(name).catch((error: unknown) => {
    if (!(error instanceof StoreError) || error.kind !== 'already-exists') throw error
  })
  return account.open(name)
}
