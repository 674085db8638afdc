/** An account here, one at a real IMAP server, and passes between them. */
import type { ImapFlow } from 'imapflow'
import { onTestFinished } from 'vitest'
import { defaultLimits } from '#gateway/backend/types.ts'
import type { SyncResult } from '#gateway/sync/sync.ts'
import type { SyncOnceRequest } from '#gateway/sync/sync-once.ts'
import type { Backend } from '#src/config/backends.ts'
import type { Account, Mailbox, Store } from '#src/store/types.ts'
import type { Dovecot } from '../../../support/dovecot.ts'
import { backendAt, Syncer, testStore, userId } from '../support.ts'
import { clientOf } from './support.ts'

export interface Both {
  /** Another client of the backend. */
  readonly other: ImapFlow
  /** As clients here have it: a store of its own on the same files. */
  readonly store: Store
  readonly account: Account
  readonly syncer: Syncer
  pass(policy?: Partial<SyncOnceRequest['policy']>, changes?: Partial<SyncOnceRequest>): Promise<SyncResult>
  open(name?: string): Promise<Mailbox>
}

export async function bothSides(
  server: Pick<Dovecot, 'imapPort'>,
  { user = 'anna', without = [], ...changes }: Partial<Backend> & { without?: readonly string[] } = {},
): Promise<Both> {
  const gateway = await testStore()
  const clients = await testStore(gateway.root)
  const account = clients.store.account(userId)
  await account.ensure()
  const other = await clientOf(server, { user })
  const backend = backendAt(server.imapPort, { protocol: 'imap', mailbox: '', user, ...changes })
  const syncer = new Syncer(gateway.store, backend, {
    withoutCapabilities: without,
    limits: defaultLimits,
  })
  const opened: Mailbox[] = []
  onTestFinished(async () => {
    for (const mailbox of opened) await mailbox.close()
    other.close()
    await clients[Symbol.asyncDispose]()
    await gateway[Symbol.asyncDispose]()
  })
  return {
    other,
    store: clients.store,
    account,
    syncer,
    pass: (policy, more) => syncer.sync(policy, { password: Buffer.from('secret'), ...more }),
    async open(name = 'INBOX') {
      const mailbox = await account.open(name)
      opened.push(mailbox)
      return mailbox
    },
  }
}
