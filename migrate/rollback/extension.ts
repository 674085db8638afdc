/**
 * Gives accounts back to the old server: nobody is let in, sessions end, what was changed here is carried there, both sides are compared, and then logins are
 * passed through. At any instant the record says how far it is, and doing it again goes on. docs/decisions/0276-the-way-back.md, docs/mpp.md
 */
import { BackendError } from '#gateway/backend/errors.ts'
import type { Extension, ExtensionParts } from '#gateway/ms_syncd/extension.ts'
import type { Compared, DifferenceKind, RollbackAnswer } from '#src/auth/rollback-questions.ts'
import { AuthError, RemoteError, StoreError } from '#src/base/errors.ts'
import type { UserId } from '#src/base/ids.ts'
import type { Log } from '#src/base/log.ts'
import type { Config } from '#src/config/config.ts'
import type { Json } from '#src/events/types.ts'
import type { Migrations } from '../records/migrations.ts'
import type { MigrationRecord } from '../records/record.ts'
import { carryBack } from './carry.ts'
import { compareSides, type Look } from './compare.ts'
import { keepAway, sayFarewell } from './farewell.ts'

const dayMs = 86_400_000

interface Order {
  readonly userId: UserId
  readonly password: Buffer | undefined
  readonly dryRun: boolean
  readonly leavesBehind: boolean
}

/** Of kinds that only an operator's word leaves as they are. */
const behind: readonly DifferenceKind[] = [
  'not-carried',
  'missing-there',
  'copy-missing-there',
  'gone-there',
  'mailbox-missing-there',
  'mailbox-name',
]
/** Told, and no obstacle: nothing that a message says is lost by it. */
const harmless: readonly DifferenceKind[] = ['keyword-not-kept', 'date']

/** Why it is not done, in words for an operator. */
class Refused extends Error {
  override readonly name = 'Refused'
}

export const rollback = async (parts: ExtensionParts, migrations: Migrations): Promise<Extension> =>
  new Rollback(parts, migrations)

class Rollback implements Extension {
  readonly #parts: ExtensionParts
  readonly #migrations: Migrations
  readonly #log: Log
  readonly #closing = new AbortController()
  /** Who asks meanwhile is told the same. */
  readonly #running = new Map<UserId, Promise<RollbackAnswer>>()
  #config: Config

  constructor(parts: ExtensionParts, migrations: Migrations) {
    this.#parts = parts
    this.#migrations = migrations
    this.#config = parts.runtime.config
    this.#log = parts.gateway.log.child({ audit: 'rollback' })
  }

  answer(request: Json): Promise<Json> | undefined {
    if (typeof request !== 'object' || request === null || !('type' in request)) return undefined
    const { type, userId, password, dryRun, leavesBehind } = request
    if (type !== 'rollback' && type !== 'rollback-cancel') return undefined
    if (typeof userId !== 'string') return Promise.resolve(refusal('the request is not understood'))
    const id = userId as UserId
    if (type === 'rollback-cancel') return answering(this.#cancel(id))
    const running = this.#running.get(id)
    if (running !== undefined) return running
    const order: Order = {
      userId: id,
      password: typeof password === 'string' ? Buffer.from(password, 'base64') : undefined,
      dryRun: dryRun === true,
      leavesBehind: leavesBehind === true,
    }
    const work = answering(this.#run(order)).finally(() => {
      order.password?.fill(0)
      this.#running.delete(id)
    })
    this.#running.set(id, work)
    return work
  }

  async reload(config: Config): Promise<void> {
    this.#config = config
  }

  async stop(): Promise<void> {
    this.#closing.abort(new AuthError('unavailable', 'ms_syncd is stopping'))
    await Promise.allSettled(this.#running.values())
  }

  async #run(order: Order): Promise<RollbackAnswer> {
    const { userId } = order
    const record = await this.#record(userId)
    const backends = await this.#migrations.backendsOf(record)
    if (backends === undefined)
      throw new Refused('no old server is known: set ms_syncd_host, or a record in ms_sync.xml')
    const password = await this.#password(order, record)
    try {
      const sides = { gateway: this.#parts.gateway, userId, backends, password, signal: this.#closing.signal }
      return await this.#parts.gateway.alone(userId, backends, async () => {
        const first = await compareSides({ ...sides, putThere: undefined })
        if (order.dryRun) return { ok: true, userId, state: record.state, before: first.compared }
        this.#mayBegin(order, first.compared)
        return await this.#giveBack(order, sides, first)
      })
    } finally {
      password?.fill(0)
    }
  }

  /** The record of somebody who can be given back. Throws Refused. */
  async #record(userId: UserId): Promise<MigrationRecord> {
    if (!this.#config.get('auto_migrate'))
      throw new Refused('ms_syncd runs without auto_migrate, and could not pass logins through to the old server')
    const record = await this.#migrations.records.find(userId)
    if (record === undefined) throw new Refused('no migration of this user is known')
    const { state, since, wave } = record
    if (state === 'rolling-back') return record
    if (state === 'rolled-back') throw new Refused('the old server has the account already')
    if (state !== 'closed' && state !== 'migrated' && state !== 'pulled')
      throw new Refused(`the migration is ${state}: only an account that is here can be given back`)
    const days = this.#config.get('rollback_days')
    const age = (this.#parts.gateway.clock.now() - since) / dayMs
    if (age > days)
      throw new Refused(
        days === 0
          ? 'rollback_days is 0: accounts are not given back'
          : `the account has been here for ${Math.floor(age)} days, and rollback_days is ${days}`,
      )
    if (wave !== undefined && state === 'migrated')
      this.#log.log('notice', 'a member of a wave that is not closed is given back', { user: userId, wave })
    return record
  }

  async #password({ userId, password }: Order, record: MigrationRecord): Promise<Buffer | undefined> {
    if (password !== undefined) {
      const log = this.#parts.gateway.log.child({ audit: 'migration-password' })
      log.log('notice', 'password of a user at the old server used', {
        user: userId,
        why: 'an operator gave it (rollback)',
      })
      return Buffer.from(password)
    }
    if (!(await this.#migrations.canLogIn(record)))
      throw new Refused('the password at the old server is not kept: give it with -p')
    return this.#migrations.password(record, 'the account is given back')
  }

  /** Throws Refused where mail would stay behind that nobody has spoken of. */
  #mayBegin({ leavesBehind }: Order, { differing }: Compared): void {
    const [stays, gone] = [differing['not-carried'] ?? 0, differing['gone-there'] ?? 0]
    if (leavesBehind || stays + gone === 0) return
    const words = [
      ...(stays > 0
        ? [`${stays} messages are here in mailboxes that the old server does not take (POP3 takes none)`]
        : []),
      ...(gone > 0 ? [`${gone} messages that came from the old server are not listed there any more`] : []),
    ]
    throw new Refused(
      `${words.join(', and ')}; nothing was changed. --leave-behind gives the account back without them: they stay here, where their user does not see them`,
    )
  }

  async #giveBack(order: Order, sides: Parameters<typeof carryBack>[0], first: Look): Promise<RollbackAnswer> {
    const { userId } = order
    const { gateway, accounts } = this.#parts
    await this.#migrations.rollingBack(userId)
    this.#log.log('notice', 'the account is being given back to the old server', { user: userId })
    const parts = { events: gateway.events, clock: gateway.clock, signal: this.#closing.signal }
    const stop = keepAway(parts, userId)
    try {
      // From here on a login is asked of the gateway, which lets nobody in.
      const account = await accounts.find(userId)
      if (account?.state === 'enabled') await accounts.put({ ...account, state: 'migrating' })
      const sessions = await sayFarewell(parts, userId)
      if (sessions > 0) this.#log.log('notice', 'sessions were ended', { user: userId, sessions })
      const carried = await carryBack(sides)
      const last = await compareSides({ ...sides, putThere: first.uidNext })
      const counts = { ...carried, ...treeChanges(first, last) }
      const left = obstacles(last.compared, order.leavesBehind ? [...behind, ...harmless] : harmless)
      const answer = { userId, before: first.compared, after: last.compared, carried: counts }
      if (left.length > 0) {
        const reason = `both sides differ: ${left.map((kind) => `${last.compared.differing[kind]} ${kind}`).join(', ')}`
        await this.#stays(userId, reason)
        return { ok: true, state: 'rolling-back', ...answer, left: [] }
      }
      await this.#migrations.rolledBack(userId)
      this.#log.log('notice', 'the old server has the account again; what is here stays as it is', {
        user: userId,
        appended: counts.appended,
        copied: counts.copied,
        moved: counts.moved,
        flags: counts.flags,
        expunged: counts.expunged,
      })
      const kinds = Object.keys(last.compared.differing) as DifferenceKind[]
      return { ok: true, state: 'rolled-back', ...answer, left: kinds }
    } catch (error) {
      await this.#stays(userId, reasonOf(error))
      throw error
    } finally {
      stop()
    }
  }

  async #stays(userId: UserId, reason: string): Promise<void> {
    this.#log.log('warning', 'the account could not be given back so far, and nobody is let in', {
      user: userId,
      reason,
    })
    await this.#migrations
      .rollingBack(userId, reason)
      .catch((error: Error) =>
        this.#log.log('err', 'the record of a migration could not be written', { user: userId, reason: error.message }),
      )
  }

  /** The account stays here. What was carried stays carried. */
  async #cancel(userId: UserId): Promise<RollbackAnswer> {
    if (this.#running.has(userId)) throw new Refused('it is under way now')
    const record = await this.#migrations.records.find(userId)
    if (record?.state !== 'rolling-back') throw new Refused('the account is not being given back')
    const { accounts } = this.#parts
    const account = await accounts.find(userId)
    // First: nobody is passed through to the old server by a crash between.
    if (account?.state === 'migrating') await accounts.put({ ...account, state: 'enabled' })
    const state = await this.#migrations.staysHere(userId, account !== undefined)
    this.#log.log('notice', 'the account stays here: giving it back was ended', { user: userId })
    return { ok: true, userId, state }
  }
}

const obstacles = ({ differing }: Compared, passed: readonly DifferenceKind[]): readonly DifferenceKind[] =>
  (Object.keys(differing) as DifferenceKind[]).filter((kind) => !passed.includes(kind))

/** By the mailboxes here that stand for those there. */
const treeChanges = (before: Look, after: Look) => {
  const idsBefore = new Map([...before.paths].flatMap(([path, id]) => (id === undefined ? [] : [[id, path] as const])))
  const added = [...after.paths].filter(([path]) => !before.paths.has(path))
  const renamed = added.filter(([, id]) => id !== undefined && idsBefore.has(id)).length
  const gone = [...before.paths.keys()].filter((path) => !after.paths.has(path)).length
  return { mailboxesMade: added.length - renamed, mailboxesRenamed: renamed, mailboxesRemoved: gone - renamed }
}

const refusal = (text: string): RollbackAnswer => ({ ok: false, kind: 'unavailable', text })

/** A refusal is an answer. */
const answering = (work: Promise<RollbackAnswer>): Promise<RollbackAnswer> =>
  work.catch((error: unknown) => refusal(reasonOf(error)))

/** In words for an operator. Throws what is none. */
const reasonOf = (error: unknown): string => {
  if (error instanceof BackendError)
    return `the old server: ${error.message}${error.serverText === undefined ? '' : `: ${error.serverText}`}`
  if (
    error instanceof Refused ||
    error instanceof StoreError ||
    error instanceof AuthError ||
    error instanceof RemoteError
  )
    return error.message
  throw error
}
