/** One user's tree: mailboxes are directories below the account's, and the account has a commit log of its own. */

import { isDeepStrictEqual } from 'node:util'
import { StoreError } from '../base/errors.ts'
import type { MailboxId, Uid, UserId } from '../base/ids.ts'
import { AccountState } from './account-state.ts'
import type { Json, Operation } from './change-set.ts'
import { CommitLog } from './commit-log.ts'
import type { StoreContext } from './context.ts'
import { createLog, findLogId } from './epochs.ts'
import { codeOf, unlessAbsent } from './fs.ts'
import { goneMark, Leavings } from './leavings.ts'
import type { OpenMailbox } from './mailbox.ts'
import { makeMailbox } from './mailbox-directory.ts'
import { mostGiven } from './mailbox-plans.ts'
import { MailboxState } from './mailbox-state.ts'
import { copyMetadata } from './metadata.ts'
import { canonicalName, mailboxPath } from './names.ts'
import type { Places } from './places.ts'
import type { MailboxRegistry } from './registry.ts'
import { removeTree } from './remove-tree.ts'
import { RemovedMailboxes } from './removed-mailboxes.ts'
import { Residence } from './residence.ts'
import { severalAtOnce } from './several.ts'
import { expectAt, expectRename } from './special-use.ts'
import { Statuses } from './statuses.ts'
import { findMailbox, hasMailbox, listMailboxes, makeDirectories, makeIfAbsent, parentOf } from './tree.ts'
import type {
  Account,
  GivenUids,
  Mailbox,
  MailboxEntry,
  MailboxStatus,
  RemovedMailbox,
  TreeNotice,
  Usage,
} from './types.ts'
import { uniqueName } from './unique.ts'

type AccountLog = CommitLog<number, AccountState>

const maxUidValidity = 0xffffffff
/** Mailboxes counted at the same time. */
const countsAtOnce = 16
const taken = ['ENOTEMPTY', 'EEXIST']

export class StoredAccount implements Account {
  readonly userId: UserId
  private readonly residence: Residence
  private readonly context: StoreContext
  private readonly registry: MailboxRegistry
  private readonly makeMailbox: (userId: UserId, name: string, directory: string) => OpenMailbox
  private readonly onTree: (notice: TreeNotice) => void
  private removedMailboxes: RemovedMailboxes
  private statuses: Statuses
  private opened: Promise<AccountLog> | undefined
  /** One after another: what goes into one commit is planned against one state, and would undo what the other does. */
  private updating: Promise<unknown> = Promise.resolve()

  /** `directory`: name of the account's in its root, when it is not made of the user id. */
  constructor(
    context: StoreContext,
    places: Places,
    userId: UserId,
    registry: MailboxRegistry,
    makeMailbox: (userId: UserId, name: string, directory: string) => OpenMailbox,
    onTree: (notice: TreeNotice) => void,
    directory?: string,
  ) {
    this.context = context
    const left = () => {
      this.opened = undefined
      this.removedMailboxes = this.newRemovedMailboxes()
      this.statuses = this.newStatuses()
    }
    this.residence = new Residence(context, places, userId, left, directory)
    this.userId = userId
    this.registry = registry
    this.makeMailbox = makeMailbox
    this.onTree = onTree
    this.removedMailboxes = this.newRemovedMailboxes()
    this.statuses = this.newStatuses()
  }

  get path(): string {
    return this.residence.path
  }

  exists(): Promise<boolean> {
    return this.doing('Looking for an account', () => this.residence.exists())
  }

  locate(): Promise<{ readonly root: string; readonly path: string; readonly exists: boolean }> {
    return this.doing('Looking for an account', () => this.residence.locate())
  }

  async ensure(): Promise<void> {
    const isComplete = await this.doing('Making an account', async () => {
      await this.make()
      return await this.isThere(`${this.directoryOf('INBOX')}/log`)
    })
    if (isComplete) return
    await this.create('INBOX').catch((error: unknown) => {
      if (!(error instanceof StoreError && error.kind === 'already-exists')) throw error
    })
  }

  async destroy(): Promise<void> {
    const { fs } = this.context
    await this.doing('Removing an account', async () => {
      const { path } = this
      const root = parentOf(path)
      const gone = `${root}/${goneMark}${uniqueName()}`
      this.opened = undefined
      this.registry.moved(path)
      if ((await unlessAbsent(fs.rename(path, gone).then(() => true))) === undefined)
        return await this.residence.check()
      await fs.syncDirectory(root)
      await removeTree(fs, gone)
      await new Leavings(this.context).removeGone(root, await fs.list(root))
    })
  }

  async tidy(): Promise<void> {
    await this.withLog('Tidying an account', (log) => this.sweep(log))
    await this.doing('Tidying an account', () => this.removedMailboxes.sweep(this.context.undeleteDays()))
    for (const { name, selectable } of await this.list()) {
      if (!selectable) continue
      try {
        const mailbox = await this.openStored(name)
        try {
          await mailbox.tidy()
        } finally {
          await mailbox.close()
        }
      } catch (error) {
        // Removed since the list was made.
        if (!isNotFound(error)) throw error
      }
    }
  }

  list(): Promise<readonly MailboxEntry[]> {
    return this.doing('Listing mailboxes', async () => {
      const found = await listMailboxes(this.context.fs, this.path)
      // Moved away in the middle, it looks like a few mailboxes, or none: a client would forget the others.
      await this.residence.check()
      return found
    })
  }

  async open(name: string): Promise<Mailbox> {
    return await this.openStored(canonicalName(name))
  }

  async status(name: string): Promise<MailboxStatus> {
    const canonical = canonicalName(name)
    return await this.doing('Reading a mailbox', () => this.statuses.of(canonical, this.directoryOf(canonical)))
  }

  async find(name: string): Promise<MailboxEntry | undefined> {
    const canonical = canonicalName(name)
    return await this.doing('Looking for a mailbox', async () => {
      const found = await findMailbox(this.context.fs, canonical, this.directoryOf(canonical))
      if (found === undefined) await this.residence.check()
      return found
    })
  }

  async findId(name: string): Promise<MailboxId | undefined> {
    const canonical = canonicalName(name)
    try {
      return await this.doing('Looking for a mailbox', async () => {
        const id = await findLogId(this.context.fs, this.directoryOf(canonical))
        if (id === undefined) await this.residence.check()
        return id as MailboxId | undefined
      })
    } catch (error) {
      if (isNotFound(error)) return undefined
      throw error
    }
  }

  usage({ recount = false }: { readonly recount?: boolean } = {}): Promise<Usage> {
    return this.doing('Counting what an account holds', async () => {
      if (recount) await this.statuses.forget()
      return await this.countUsage()
    })
  }

  async create(name: string, as: { readonly uidValidity?: number; readonly uidNext?: Uid } = {}): Promise<void> {
    const canonical = canonicalName(name)
    const { fs, clock } = this.context
    await this.doing('Making a mailbox', async () => {
      const { path } = this
      const directory = this.directoryOf(canonical)
      if (await this.isThere(`${directory}/log`)) throw alreadyExists()
      const uidValidity = await this.newUidValidity(as.uidValidity)
      const state = MailboxState.empty(clock, uidValidity, as.uidNext)
      for (let attempt = 1; ; attempt += 1) {
        try {
          return await makeMailbox(fs, path, directory, state)
        } catch (error) {
          if (taken.includes(codeOf(error) ?? '')) throw alreadyExists()
          // The level above was removed at the same moment.
          if (codeOf(error) !== 'ENOENT' || attempt === 3) throw error
        }
      }
    })
    this.tell('created', canonical)
  }

  async adoptUids(name: string, as: GivenUids): Promise<boolean> {
    for (const number of [as.uidValidity, as.uidNext])
      if (!Number.isInteger(number) || number < 1 || number > mostGiven)
        throw new StoreError(
          'invalid',
          `UIDVALIDITY and UIDNEXT have to be from 1 to ${mostGiven}: some are needed here`,
        )
    const mailbox = await this.openStored(canonicalName(name))
    try {
      if (mailbox.uidValidity !== as.uidValidity) await this.newUidValidity(as.uidValidity)
      return await mailbox.adoptUids(as)
    } finally {
      await mailbox.close()
    }
  }

  async remove(name: string): Promise<void> {
    const canonical = canonicalName(name)
    if (canonical === 'INBOX') throw new StoreError('invalid', 'INBOX can not be removed')
    await this.doing('Removing a mailbox', () => this.removeMailbox(canonical))
    this.tell('removed', canonical)
  }

  removed(): Promise<readonly RemovedMailbox[]> {
    return this.doing('Listing removed mailboxes', () => this.removedMailboxes.list())
  }

  async restore(id: string): Promise<string> {
    const name = await this.doing('Restoring a mailbox', () => this.removedMailboxes.restore(id))
    const mailboxId = await this.findId(name)
    if (mailboxId !== undefined) await expectAt(this, { id: mailboxId, name })
    this.tell('restored', name)
    return name
  }

  async rename(from: string, to: string): Promise<void> {
    const source = canonicalName(from)
    const target = canonicalName(to)
    if (target.startsWith(`${source}/`) && source !== 'INBOX')
      throw new StoreError('invalid', 'A mailbox can not move below itself')
    if (source === target) throw alreadyExists()
    if (source === 'INBOX') return await this.emptyInboxInto(target)
    await expectRename(this, source, target)
    await this.doing('Renaming a mailbox', () => this.renameTree(source, target))
    this.tell('renamed', source, target)
  }

  async subscriptions(): Promise<readonly string[]> {
    const { state } = await this.current()
    return [...state.subscriptions].sort()
  }

  async subscribe(name: string): Promise<void> {
    const canonical = canonicalName(name)
    const done = await this.commit((state) => (state.subscriptions.has(canonical) ? [] : [['subscribe', canonical]]))
    if (done.length > 0) this.tell('subscribed', canonical)
  }

  async unsubscribe(name: string): Promise<void> {
    const canonical = canonicalName(name)
    const done = await this.commit((state) => (state.subscriptions.has(canonical) ? [['unsubscribe', canonical]] : []))
    if (done.length > 0) this.tell('unsubscribed', canonical)
  }

  async get(key: string): Promise<unknown> {
    const { state } = await this.current()
    return state.values.get(key)
  }

  async entries(prefix: string): Promise<ReadonlyMap<string, unknown>> {
    const { state } = await this.current()
    return new Map([...state.values].filter(([key]) => key.startsWith(prefix)))
  }

  async put(values: Readonly<Record<string, unknown>>): Promise<void> {
    const operations = operationsOf(values)
    // What is not known of here may be there.
    if (operations.some(([word]) => word === 'unset')) await this.current()
    await this.commit((state) => operations.filter(([word, key]) => word === 'set' || state.values.has(key as string)))
  }

  async update(key: string, change: (value: unknown) => unknown): Promise<void> {
    await this.change((values) => ({ [key]: change(values.get(key)) }))
  }

  async change(plan: (values: ReadonlyMap<string, unknown>) => Readonly<Record<string, unknown>>): Promise<void> {
    const done = this.updating.then(async () => {
      // What `plan` refuses, or finds done already, must not be by what was known a while ago.
      await this.current()
      await this.commit(({ values }) =>
        operationsOf(plan(values)).filter(([word, key, json]) =>
          word === 'set' ? !isDeepStrictEqual(json, values.get(key as string)) : values.has(key as string),
        ),
      )
    })
    this.updating = done.catch(() => {})
    await done
  }

  private tell(change: TreeNotice['change'], mailbox: string, to?: string): void {
    try {
      this.onTree({ userId: this.userId, change, mailbox, ...(to === undefined ? {} : { to }) })
    } catch (error) {
      const incident = { user: this.userId, mailbox, error: error instanceof Error ? error.stack : String(error) }
      this.context.log.log('err', 'a listener to an account failed', incident)
    }
  }

  private async countUsage(): Promise<Usage> {
    let [messages, octets] = [0, 0]
    const names = (await this.list()).flatMap(({ name, selectable }) => (selectable ? [name] : []))
    await severalAtOnce(names, countsAtOnce, async (name) => {
      try {
        const status = await this.statuses.of(name, this.directoryOf(name))
        messages += status.messages
        octets += status.sizeOctets
      } catch (error) {
        // Removed since the list was made.
        if (!isNotFound(error)) throw error
      }
    })
    await this.residence.check()
    await this.statuses.keepOnly(names)
    return { messages, octets }
  }

  private newRemovedMailboxes(): RemovedMailboxes {
    return new RemovedMailboxes(this.context, this.userId, this.path)
  }

  private newStatuses(): Statuses {
    const make = (name: string, directory: string) => this.makeMailbox(this.userId, name, directory)
    return new Statuses(this.context, this.path, this.registry, make)
  }

  /** Wherever the account is: done once more when it was moved meanwhile. */
  private doing<T>(what: string, work: () => Promise<T>): Promise<T> {
    return this.residence.doing(what, work)
  }

  private directoryOf(name: string): string {
    return `${this.path}/${mailboxPath(name)}`
  }

  private async isThere(path: string): Promise<boolean> {
    return (await unlessAbsent(this.context.fs.status(path))) !== undefined
  }

  private openStored(name: string): Promise<OpenMailbox> {
    return this.doing('Opening a mailbox', async () => {
      const directory = this.directoryOf(name)
      return await this.registry.open(directory, () => this.makeMailbox(this.userId, name, directory))
    })
  }

  private async make(): Promise<void> {
    if (await this.residence.isThere()) return
    if (!this.residence.isSingle) return await this.residence.make((directory) => this.makeIn(directory))
    await makeDirectories(this.context.fs, '', this.path)
    await this.makeIn(this.path).catch((error: unknown) => {
      if (!taken.includes(codeOf(error) ?? '')) throw error
    })
  }

  private async makeIn(directory: string): Promise<void> {
    const { fs, clock } = this.context
    await makeIfAbsent(fs, `${directory}/tmp`)
    await createLog(fs, directory, new AccountState(clock), 1)
  }

  private log(): Promise<AccountLog> {
    if (this.opened === undefined) {
      const { clock } = this.context
      const log: AccountLog = new CommitLog(this.context, 'account', this.path, () => new AccountState(clock))
      const opened = log.open().then(() => {
        void this.sweep(log)
        void this.removedMailboxes.sweep(this.context.undeleteDays()).catch(() => {})
        return log
      })
      this.opened = opened
      opened.catch(() => this.forget(opened))
    }
    return this.opened
  }

  private async sweep(log: AccountLog): Promise<void> {
    if (await new Leavings(this.context).sweepWhenDue(this.path)) await log.removeOldEpochs().catch(() => {})
  }

  private forget(opened: Promise<AccountLog>): void {
    if (this.opened === opened) this.opened = undefined
  }

  /** Another process may have removed the account, and made it again: then the log that was open is not the account's any more. */
  private async withLog<T>(what: string, work: (log: AccountLog) => Promise<T>): Promise<T> {
    const attempt = async () => {
      const opened = this.log()
      try {
        return await work(await opened)
      } catch (error) {
        if (isNotFound(error)) this.forget(opened)
        throw error
      }
    }
    const again = async (error: unknown) => {
      if (!isNotFound(error)) throw error
      return await attempt()
    }
    return await this.doing(what, () => attempt().catch(again))
  }

  private current(): Promise<AccountLog> {
    return this.withLog('Reading an account', async (log) => {
      await log.refresh()
      return log
    })
  }

  private commit(plan: (state: AccountState) => readonly Operation[]): Promise<readonly number[]> {
    return this.withLog('Changing an account', (log) =>
      log.commit({ plan: () => plan(log.state), done: (outcomes) => outcomes }),
    )
  }

  /** One that no mailbox of this account had: names can come back, their UIDs must not. RFC 9051 §2.3.1.1 */
  private async newUidValidity(wanted: number | undefined): Promise<number> {
    if (wanted === undefined) {
      const seconds = Math.floor(this.context.clock.now() / 1000)
      const [given] = await this.commit(() => [['uidvalidity', seconds]])
      if (given! > maxUidValidity) throw new StoreError('limit', 'The account has used up its UIDVALIDITY values')
      return given!
    }
    if (!Number.isInteger(wanted) || wanted < 1 || wanted > maxUidValidity)
      throw new StoreError('invalid', 'UIDVALIDITY is a whole number from 1 to 4294967295')
    await this.commit(() => [['uidvalidity-taken', wanted]])
    return wanted
  }

  private async removeMailbox(name: string): Promise<void> {
    const { fs, undeleteDays } = this.context
    const directory = this.directoryOf(name)
    await this.removedMailboxes.take(name, () => this.registry.removed(directory))
    await removeTree(fs, `${directory}/cache`)
    await this.removeEmpty(directory)
    await this.removedMailboxes.sweep(undeleteDays())
  }

  /** Removes what is empty of a level that is no mailbox; children keep it. What is left by a crash is swept or used again. */
  private async removeEmpty(directory: string): Promise<void> {
    const { fs } = this.context
    for (const path of [`${directory}/msg`, `${directory}/tmp/swept`, `${directory}/tmp`, directory]) {
      try {
        if (path.endsWith('/swept')) await fs.remove(path)
        else await fs.removeDirectory(path)
      } catch (error) {
        if (codeOf(error) !== 'ENOENT' && !taken.includes(codeOf(error) ?? '')) throw error
      }
    }
  }

  private async emptyInboxInto(target: string): Promise<void> {
    await this.create(target)
    await using inbox = await this.open('INBOX')
    await using mailbox = await this.open(target)
    try {
      await copyMetadata(this, inbox.id, mailbox.id)
    } catch (error) {
      // There may be no room for them twice: nothing has moved by now.
      await this.remove(target)
      throw error
    }
    await inbox.moveTo(
      Array.from(inbox.messages, (message) => message.uid),
      mailbox,
    )
  }

  private async renameTree(source: string, target: string): Promise<void> {
    const { fs } = this.context
    const from = this.directoryOf(source)
    const to = this.directoryOf(target)
    if (!(await hasMailbox(fs, source, from))) throw new StoreError('not-found', 'The mailbox does not exist')
    if (await hasMailbox(fs, target, to)) throw alreadyExists()
    await makeDirectories(fs, this.path, parentOf(to))
    try {
      await fs.rename(from, to)
    } catch (error) {
      // Another one renamed or removed it first.
      if (codeOf(error) === 'ENOENT' && !(await this.isThere(from)))
        throw new StoreError('not-found', 'The mailbox does not exist')
      if (!taken.includes(codeOf(error) ?? '')) throw error
      // What a removal left behind, or a mailbox made a moment ago: only the former may go.
      if (await hasMailbox(fs, target, to)) throw alreadyExists()
      await fs.rename(to, `${this.path}/tmp/${uniqueName()}`)
      await fs.rename(from, to)
    }
    this.registry.moved(from, { directory: to, name: target, oldName: source })
    await this.statuses.renamed(source, target)
    await fs.syncDirectory(parentOf(to))
    await fs.syncDirectory(parentOf(from))
  }
}

/** Undefined removes a value. */
function operationsOf(values: Readonly<Record<string, unknown>>): readonly Operation[] {
  return Object.entries(values).map(([key, value]) => {
    const json: unknown = value === undefined ? undefined : JSON.parse(JSON.stringify(value))
    return json === undefined ? ['unset', key] : ['set', key, json as Json]
  })
}

function isNotFound(error: unknown): boolean {
  return error instanceof StoreError && error.kind === 'not-found'
}

function alreadyExists(): StoreError {
  return new StoreError('already-exists', 'A mailbox of this name exists')
}
