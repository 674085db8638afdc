/**
 * Messages that a client wants to read before the migration has come to them: fetched on a connection of their own, which stays open for a while since
 * who reads one reads more. docs/decisions/0025-announced-first.md
 */
import { AuthError } from '#src/base/errors.ts'
import type { MailboxId, Uid, UserId } from '#src/base/ids.ts'
import type { Log } from '#src/base/log.ts'
import type { Backend } from '#src/config/backends.ts'
import type { Mailbox } from '#src/store/types.ts'
import { backendUrl } from '../backend/backend-url.ts'
import { BackendError } from '../backend/errors.ts'
import { fetchBodies } from '../backend/imap/bulk.ts'
import type { ImapConnection } from '../backend/imap/connection.ts'
import { examine } from '../backend/imap/examine.ts'
import { openImapLogin } from '../backend/open-backend.ts'
import { BackendMemory } from '../sync/imap/memory.ts'
import { originOf, parseOrigin } from '../sync/imap/origin.ts'
import type { Gateway } from './gateway.ts'
import type { BackendHost } from './host.ts'

/** Nobody read for so long. */
const idleMs = 60_000

export interface Demand {
  readonly mailboxId: MailboxId
  /** Name here. */
  readonly mailbox: string
  /** Here. */
  readonly uids: readonly Uid[]
}

export type PasswordOf = (backend: Backend) => Buffer | undefined

interface Open {
  readonly url: string
  /** Its host counts it. */
  readonly host: BackendHost
  readonly connection: ImapConnection
  /** Path and UIDVALIDITY there. */
  selected?: { readonly path: string; readonly uidValidity: number | undefined }
}

/** Of one user. */
export class OnDemand {
  readonly #userId: UserId
  readonly #gateway: Gateway
  readonly #log: Log
  #open: Open | undefined
  #turn: Promise<unknown> = Promise.resolve()
  #idle: AbortController | undefined

  constructor(userId: UserId, gateway: Gateway, log: Log) {
    this.#userId = userId
    this.#gateway = gateway
    this.#log = log
  }

  /** Resolves when they are here, but for what the backend does not give now. `passwordOf` answers a copy. Throws AuthError, StoreError. */
  bring(demand: Demand, backends: readonly Backend[], passwordOf: PasswordOf): Promise<void> {
    const brought = this.#turn.then(async () => {
      this.#idle?.abort()
      try {
        await this.#bring(demand, backends, passwordOf)
      } catch (error) {
        this.close()
        if (!(error instanceof BackendError)) throw error
        const reason = new Error(error.serverText ?? error.message)
        throw new AuthError('unavailable', 'the old server does not give the messages now', { cause: reason })
      } finally {
        this.#closeLater()
      }
    })
    this.#turn = brought.catch(() => {})
    return brought
  }

  close(): void {
    this.#idle?.abort()
    this.#open?.connection.close()
    this.#open?.host.ended()
    this.#open = undefined
  }

  #closeLater(): void {
    const idle = new AbortController()
    this.#idle = idle
    this.#gateway.clock.sleep(idleMs, idle.signal).then(
      () => this.close(),
      () => {},
    )
  }

  async #bring({ mailboxId, mailbox: name, uids }: Demand, backends: readonly Backend[], passwordOf: PasswordOf) {
    await using mailbox = await this.#gateway.store.account(this.#userId).open(name)
    await mailbox.refresh()
    if (mailbox.id !== mailboxId) return
    for (const backend of backends) {
      const url = backendUrl(backend, this.#userId)
      const wanted = uids.flatMap((uid) => {
        const record = mailbox.byUid(uid)
        const from = record?.isHere === false ? parseOrigin(url, record.origin ?? '') : undefined
        return from === undefined ? [] : [from]
      })
      for (const [uidValidity, some] of Map.groupBy(wanted, (from) => from.uidValidity)) {
        const there = some.map(({ uid }) => uid)
        await this.#from(backend, { url, mailbox, uidValidity, uids: there }, passwordOf)
      }
    }
  }

  async #from(
    backend: Backend,
    wanted: {
      readonly url: string
      readonly mailbox: Mailbox
      readonly uidValidity: number
      readonly uids: readonly Uid[]
    },
    passwordOf: PasswordOf,
  ): Promise<void> {
    const { url, mailbox, uidValidity, uids } = wanted
    const { store, injection, policy } = this.#gateway
    const account = store.account(this.#userId)
    const { pairs } = await new BackendMemory(account, url).tree()
    const path = pairs.find(({ idHere }) => idHere === mailbox.id)?.path
    if (path === undefined) return
    const { connection } = await this.#selected(backend, url, path, uidValidity, passwordOf)
    const injector = injection.into({ account, mailbox, log: this.#log, expected: { messages: uids.length } })
    let refused = 0
    try {
      await fetchBodies(connection, {
        uids,
        setSize: policy.fetchSetSize,
        open: ({ uid, internalDate }) =>
          injector.open({ origin: originOf(url, uidValidity, uid), internalDate, isCompared: true }, () => {
            refused += 1
          }),
        refused: () => {
          refused += 1
        },
      })
    } finally {
      await injector.finish()
    }
    this.#log.log('debug', 'fetched for a client', { mailbox: mailbox.name, messages: injector.taken, refused })
  }

  async #selected(
    backend: Backend,
    url: string,
    path: string,
    uidValidity: number,
    passwordOf: PasswordOf,
  ): Promise<Open> {
    if (this.#open !== undefined && (this.#open.url !== url || this.#open.connection.failure !== undefined))
      this.close()
    this.#open ??= await this.#login(backend, url, passwordOf(backend))
    const open = this.#open
    if (open.selected?.path !== path) {
      delete open.selected
      open.selected = { path, uidValidity: await examine(open.connection, path) }
    }
    if (open.selected.uidValidity !== uidValidity)
      throw new BackendError('temporary', 'a mailbox at the backend was replaced meanwhile')
    return open
  }

  /** Waits for no other session, since somebody waits for it; others wait for it. */
  async #login(backend: Backend, url: string, password: Buffer | undefined): Promise<Open> {
    const { access, hosts, signal } = this.#gateway
    const host = hosts.of(backend.host, backend.port)
    host.begun()
    try {
      const { connection } = await openImapLogin(access, backend, password, this.#log, signal)
      return { url, host, connection }
    } catch (error) {
      host.failed(error, this.#userId, false)
      host.ended()
      throw error
    } finally {
      password?.fill(0)
    }
  }
}
