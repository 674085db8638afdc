/** A store in a temporary directory, and one sync session into it. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { BackendAccess } from '#gateway/backend/open-backend.ts'
import { BackendProfiles } from '#gateway/backend/profile.ts'
import { directInjection } from '#gateway/sync/inject/direct.ts'
import { Setbacks } from '#gateway/sync/setbacks.ts'
import type { SyncResult } from '#gateway/sync/sync.ts'
import { type SyncOnceRequest, syncOnce } from '#gateway/sync/sync-once.ts'
import { type Clock, systemClock } from '#src/base/clock.ts'
import type { UserId } from '#src/base/ids.ts'
import { silentLog } from '#src/base/log.ts'
import type { Backend } from '#src/config/backends.ts'
import { openStore } from '#src/store/store.ts'
import type { CommitNotice, Mailbox, MessageRecord, Store } from '#src/store/types.ts'
import { quick } from '../backend/maildrop.ts'

export const userId = 'anna@example.org' as UserId

export interface TestStore extends AsyncDisposable {
  readonly store: Store
  readonly root: string
  readonly notices: CommitNotice[]
}

export const testStore = async (root?: string): Promise<TestStore> => {
  const directory = root ?? (await mkdtemp(join(tmpdir(), 'gateway-store-')))
  const notices: CommitNotice[] = []
  const store = openStore({
    root: directory,
    clock: systemClock,
    log: silentLog,
    onCommit: (notice) => void notices.push(notice),
  })
  return {
    store,
    root: directory,
    notices,
    [Symbol.asyncDispose]: async () => {
      await store.close()
      if (root === undefined) await rm(directory, { recursive: true, force: true })
    },
  }
}

export const backendAt = (port: number, changes: Partial<Backend> = {}): Backend => ({
  protocol: 'pop',
  host: '127.0.0.1',
  port,
  user: 'anna',
  password: undefined,
  mailbox: 'INBOX',
  intervalSeconds: 300,
  startTls: 'never',
  tlsVerify: true,
  ...changes,
})

/** Keeps what outlives a session, as ms_syncd does. */
export class Syncer {
  readonly setbacks = new Setbacks()
  readonly access: BackendAccess
  readonly #store: Store
  readonly #backend: Backend
  clock: Clock = systemClock

  constructor(store: Store, backend: Backend, access: Partial<BackendAccess> = {}) {
    this.#store = store
    this.#backend = backend
    this.access = { profiles: new BackendProfiles(), limits: quick, ...access }
    // Hosts that are new in this respect have a test of their own.
    this.access.profiles.of(backend.host, backend.port).learned.nonsenseRefusedAt = Math.floor(Date.now() / 1_000)
  }

  sync(policy: Partial<SyncOnceRequest['policy']> = {}, changes: Partial<SyncOnceRequest> = {}): Promise<SyncResult> {
    return syncOnce({
      backend: this.#backend,
      others: [],
      userId,
      password: Buffer.from('pw'),
      store: this.#store,
      access: this.access,
      policy: { fetchLastN: 0, ignoreFrontendDeletes: false, fetchSetSize: 100, inboxOnly: false, ...policy },
      injection: directInjection(this.clock),
      setbacks: this.setbacks,
      clock: this.clock,
      log: silentLog,
      ...changes,
    })
  }
}

export const withMailbox = async <T>(
  store: Store,
  use: (mailbox: Mailbox) => Promise<T>,
  name = 'INBOX',
): Promise<T> => {
  await using mailbox = await store.account(userId).open(name)
  return await use(mailbox)
}

export const octetsOf = async (mailbox: Mailbox, record: MessageRecord): Promise<Buffer> => {
  await using content = await mailbox.content(record)
  return await content.read(0, content.sizeOctets)
}

/** Everything in a mailbox, in UID order. */
export const contents = (store: Store, name = 'INBOX'): Promise<Buffer[]> =>
  withMailbox(
    store,
    async (mailbox) => {
      const all: Buffer[] = []
      for (const record of mailbox.messages) all.push(await octetsOf(mailbox, record))
      return all
    },
    name,
  )

/** Deletes as a client does. */
export const clientExpunges = (store: Store, pick: (record: MessageRecord) => boolean): Promise<unknown> =>
  withMailbox(store, (mailbox) =>
    mailbox.expunge(
      [...mailbox.messages].filter(pick).map(({ uid }) => uid),
      'client',
    ),
  )
