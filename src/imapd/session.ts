/**
 * One client's session, RFC 3501 §3: octets to commands, a row for each, its answer, the news of the selected mailbox.
 * Commands are processed one after another in the order they came (§5.5); clients may send the next before the answer.
 */

import type { Authenticator, Login } from '../auth/types.ts'
import type { Clock } from '../base/clock.ts'
import { StoreError } from '../base/errors.ts'
import type { UserId } from '../base/ids.ts'
import type { Log } from '../base/log.ts'
import type { Announcement, EventBus } from '../events/types.ts'
import type { FetchItem } from '../proto/imap/fetch.ts'
import { authenticatedLimits, preAuthLimits } from '../proto/imap/limits.ts'
import type { NameSpelling } from '../proto/imap/mailbox-name.ts'
import type { NotifyArgs } from '../proto/imap/notify.ts'
import type { ReceiverEvent, ReceiverFault } from '../proto/imap/receiver-events.ts'
import { capabilityCode, formatContinuation, formatStatusResponse } from '../proto/imap/response.ts'
import { Disconnected, Stopping } from '../server/client-octets.ts'
import { Output } from '../server/output.ts'
import { atOldServer } from '../server/passage.ts'
import type { Quotas } from '../server/quotas.ts'
import { type ClientConnection, ConnectionLost, ConnectionTimeout } from '../server/types.ts'
import { Hierarchy } from '../sharing/hierarchy.ts'
import type { Right } from '../sharing/rights.ts'
import type { Account, Mailbox, Store } from '../store/types.ts'
import { announce, writeHighestModSeq } from './announce.ts'
import type { Circumstances, Command, Completion, Form, StateName } from './command.ts'
import { giveItems } from './commands/fetch.ts'
import { commands } from './commands/index.ts'
import { Enabled, type Extension } from './enabled.ts'
import { Input } from './input.ts'
import type { MailNews, TreeNews } from './mail-news.ts'
import type { MetadataChanges } from './metadata-changes.ts'
import { MetadataNews } from './metadata-news.ts'
import type { Interest } from './notify/interest.ts'
import { Notifier } from './notify/notifier.ts'
import { pushUntil } from './push.ts'
import { failureOf, Refusal } from './replies.ts'
import type { Settings } from './settings.ts'
import { Upload } from './upload.ts'
import { MailboxGone, type View } from './view.ts'

/** What the sessions of a process share. */
export interface Services {
  /** Those in force now: a reload replaces them. */
  readonly settings: () => Settings
  readonly log: Log
  readonly clock: Clock
  readonly events: EventBus
  readonly store: Store
  readonly quotas: Quotas
  readonly metadataChanges: MetadataChanges
  readonly mailNews: MailNews
  readonly authenticator: Authenticator
}

/** Commands one after another that are none: then the connection ends. */
const badCommands = { beforeLogin: 3, afterLogin: 20 }
const failedLogins = 3
/** Pause after the first refused login, doubled with each more. */
const refusalPauseMs = 250

/** NOTIFY NONE */
const nothingAsked: NotifyArgs = { status: false, groups: [], namesOthers: false }

/** Whoever is logged in. */
interface User {
  readonly id: UserId
  readonly account: Account
  readonly hierarchy: Hierarchy
  /** By credentials of somebody who may act for others. */
  readonly byAdministrator: boolean
}

export class Session {
  readonly connection: ClientConnection
  readonly services: Services
  readonly output: Output
  readonly input: Input
  readonly log: Log
  /** What the client switched on, by `enable`. */
  enabled = new Enabled()
  #presence: Announcement
  #user: User | undefined
  #view: View | undefined
  /** As the user calls the selected mailbox. */
  #viewName = ''
  /** That the selected mailbox belongs to. */
  #viewed: Account | undefined
  #metadataNews: MetadataNews | undefined
  /** What the client asked for by NOTIFY, since it did. */
  #notifier: Notifier | undefined
  #open = true
  #isIdentified = false
  #badCommands = 0
  #failedLogins = 0

  constructor(connection: ClientConnection, services: Services) {
    this.connection = connection
    this.services = services
    this.log = services.log.child({ session: connection.id, client: connection.remoteAddress })
    this.output = new Output(connection)
    this.input = new Input(connection, this.output)
    this.#presence = services.events.announce({
      service: 'imap',
      sessionId: connection.id,
      clientAddress: connection.remoteAddress,
      activity: 'connected',
    })
  }

  get state(): StateName {
    if (this.#user === undefined) return 'not-authenticated'
    return this.#view === undefined ? 'authenticated' : 'selected'
  }

  get userId(): UserId {
    return this.#loggedIn().id
  }

  /** Logged in as an administrator of this user, and for nobody else. */
  administers(other: UserId): boolean {
    return this.services.settings().administers(this.userId, other, this.connection.localAddress)
  }

  /** The user's own. */
  get account(): Account {
    return this.#loggedIn().account
  }

  /** All that the user can reach. */
  get hierarchy(): Hierarchy {
    return this.#loggedIn().hierarchy
  }

  /** The selected mailbox. Only for commands of the selected state. */
  get view(): View {
    if (this.#view === undefined) throw new Error('no mailbox is selected')
    return this.#view
  }

  /** The selected mailbox, for those who change messages. Throws Refusal when it is read-only, or the user has not these rights. */
  writable(...needs: readonly Right[]): Mailbox {
    if (this.view.readOnly) throw new Refusal('NO', 'READ-ONLY', 'The mailbox is selected read-only')
    const lacking = this.view.lacks(...needs)
    if (lacking.length > 0)
      throw new Refusal('NO', 'NOPERM', `Not permitted: needs the right ${lacking.join(', ')} here`)
    return this.view.mailbox
  }

  get circumstances(): Circumstances {
    const { channel, canUpgrade, isCompressed } = this.connection
    const { settings, authenticator } = this.services
    return {
      loggedIn: this.#user !== undefined,
      byAdministrator: this.#user?.byAdministrator === true,
      canUpgrade,
      isCompressed,
      offer: authenticator.offer(channel),
      gatewayMode: settings().gatewayMode,
      appendOctets: settings().appendOctets,
    }
  }

  /** Of mailbox names, both ways. */
  get spelling(): NameSpelling {
    return this.enabled.has('UTF8=ACCEPT') || this.isRev2 ? 'UTF-8' : 'UTF-7'
  }

  /** The client wants what RFC 9051 says, where RFC 3501 says something else. docs/decisions/0328-imap4rev2.md */
  get isRev2(): boolean {
    return this.enabled.has('IMAP4rev2')
  }

  /** RFC 3501 §7.2.1: what the rows bring in the circumstances. */
  get capabilities(): readonly string[] {
    const circumstances = this.circumstances
    const brought = [...commands.values()].flatMap((row) => row.capabilities?.(circumstances) ?? [])
    return ['IMAP4rev1', 'IMAP4rev2', 'LITERAL+', ...brought]
  }

  /** From the greeting to the end of the connection. Rejects never. */
  async run(): Promise<void> {
    try {
      this.untagged('OK', 'Wherry ready', capabilityCode(this.capabilities))
      while (this.#open) await this.#handle(await this.#next())
    } catch (error) {
      this.#endOf(error)
    } finally {
      await this.#close()
    }
  }

  /** Ends the session after the reply at hand. */
  logout(): void {
    this.#open = false
  }

  /** The client proved who it is. */
  async login({ userId, byAdministrator = false }: Login): Promise<Completion> {
    const { settings, store } = this.services
    const account = store.account(userId)
    const hierarchy = new Hierarchy(userId, store, () => settings().sharing, this.log)
    await account.ensure()
    await this.#ensureShared(hierarchy)
    this.#user = { id: userId, account, hierarchy, byAdministrator }
    const { appendOctets, idleMs, loginAlert } = settings()
    this.input.limit(authenticatedLimits(appendOctets))
    this.connection.authenticated(userId)
    this.connection.setIdleTimeout(idleMs)
    this.#presence.update({ user: userId, activity: 'authenticated' })
    if (loginAlert !== undefined && loginAlert !== '') this.untagged('OK', loginAlert, 'ALERT')
    return { code: capabilityCode(this.capabilities), text: 'Logged in' }
  }

  /**
   * Forgets everything but the connection, its TLS, and what counts against the client: whatever a session keeps of a user ends here.
   * RFC 8437 §3, §4.1
   */
  async unauthenticate(): Promise<void> {
    await this.unselect()
    this.enabled = new Enabled()
    this.#forgetNews()
    this.log.log('info', 'logout', { user: this.userId })
    this.#user = undefined
    this.#viewed = undefined
    this.#viewName = ''
    this.input.limit(preAuthLimits)
    this.connection.unauthenticated()
    this.#presence.update({ user: '', activity: 'connected', mailbox: '' })
  }

  /** The client proved who it is, and goes on at the old server. */
  passed(userId: UserId): void {
    this.connection.authenticated()
    this.connection.setIdleTimeout(this.services.settings().idleMs)
    this.#presence.update({ user: userId, activity: atOldServer })
  }

  /** A login was refused: the answer waits, the longer the more often, and at last the connection ends. */
  async loginRefused(): Promise<void> {
    this.#failedLogins++
    await this.services.clock.sleep(refusalPauseMs * 2 ** (this.#failedLogins - 1), this.connection.signal)
    if (this.#failedLogins < failedLogins) return
    this.untagged('BYE', 'Too many refused logins')
    this.logout()
  }

  /** The client says who it is: what it says first is logged. */
  identified(client: string): void {
    if (this.#isIdentified || client === '') return
    this.#isIdentified = true
    this.log.log('info', 'client identifies itself', { id: client })
  }

  /** The TLS handshake, right behind the reply that asks for it: forgets everything but the connection. RFC 3501 §6.2.1 */
  async upgrade(): Promise<void> {
    await this.connection.upgrade()
    this.input.restart()
  }

  /** `name`: as the user calls it. */
  select(view: View, account: Account, name: string): void {
    this.#view = view
    view.tellsRecent = !this.isRev2
    this.#viewName = name
    this.#viewed = account
    this.activity()
  }

  /** As the user calls the selected mailbox; undefined: none is selected. */
  get selectedName(): string | undefined {
    return this.#view === undefined ? undefined : this.#viewName
  }

  /** Whether this is the selected mailbox. */
  isSelected(account: Account, name: string): boolean {
    return this.#view?.mailbox.name === name && this.isOf(account)
  }

  /** Whether the selected mailbox is one of the account's. */
  isOf(account: Account): boolean {
    return this.#viewed?.userId === account.userId
  }

  /** Where events about the selected mailbox are told. */
  get topic(): string {
    return `mbox:${this.#viewed?.userId ?? this.userId}`
  }

  /** Leaves the selected mailbox, if there is one, without telling the client. Works whatever became of the mailbox. */
  async unselect(): Promise<void> {
    const view = this.#view
    this.#view = undefined
    this.activity()
    await this.#leave(view)
  }

  async #leave(view: View | undefined): Promise<void> {
    try {
      await view?.mailbox.close()
    } catch (error) {
      this.log.log('warning', 'mailbox did not close cleanly', { cause: String(error) })
    }
  }

  /** What msstat shows of the session; without a word of its own: the state. */
  activity(activity: string = this.#view?.readOnly === true ? 'examining' : this.state): void {
    this.#presence.update({ activity, mailbox: this.#view === undefined ? '' : this.#viewName })
  }

  /** An untagged status response. */
  untagged(status: 'OK' | 'NO' | 'BYE', text: string, code?: string): void {
    this.output.write(formatStatusResponse(undefined, status, text, code))
  }

  /** Tells what happened. `expunged`: the client did that itself, and awaits to be told of it. */
  async announce(mayExpunge: boolean, withUid = false, expunged = false): Promise<void> {
    const interest = this.interest?.selected
    if (this.#view !== undefined)
      await announce(this, {
        mayExpunge: mayExpunge && (expunged || interest?.messages !== false),
        // RFC 9051 §7.5.2, RFC 5465 §5.1: with UID always.
        withUid: withUid || this.isRev2 || interest !== undefined,
        interest,
      })
    await this.#metadataNews?.tell()
    await this.#tellOfOthers()
  }

  async #tellOfOthers(): Promise<void> {
    if ((await this.#notifier?.tell()) !== 'overflow') return
    this.untagged('OK', 'More happens than can be told, nothing is told any more', 'NOTIFICATIONOVERFLOW')
    this.#setNotifier(await Notifier.begin(this, nothingAsked))
  }

  /** What the client asked for by NOTIFY; undefined before it did. */
  get interest(): Interest | undefined {
    return this.#notifier?.interest
  }

  /** From now on the client is told of this, in place of what was before; of that it is told what there was, and of the selected mailbox all that it does not know. RFC 5465 §3.1 */
  async notify(args: NotifyArgs): Promise<void> {
    const notifier = await Notifier.begin(this, args)
    try {
      await this.#tellOfOthers()
    } catch (error) {
      notifier[Symbol.dispose]()
      throw error
    }
    this.#setNotifier(notifier)
    const { items } = notifier.interest.selected
    if (this.#view !== undefined && args.groups.length > 0)
      await announce(this, { mayExpunge: true, withUid: true, interest: { messages: true, flags: true, items } })
    await notifier.tellAll(args.status)
  }

  #setNotifier(notifier: Notifier): void {
    this.#notifier?.[Symbol.dispose]()
    this.#notifier = notifier
    this.#followMetadata()
  }

  /** What this session did itself is not told to its client. RFC 5465 §5. Names: canonical, as the user calls the mailbox. */
  didItself(change: TreeNews | { readonly addedTo: string; readonly messages: number }): void {
    if ('addedTo' in change) this.#notifier?.addedByItself(change.addedTo, change.messages)
    else this.#notifier?.changedByItself(change)
  }

  /** Of messages of the selected mailbox that have just come, what the client asked for beforehand. */
  async tellItems(positions: readonly number[], items: readonly FetchItem[]): Promise<void> {
    try {
      if (positions.length > 0) await giveItems(this, positions, items)
    } catch (error) {
      if (endsSession(error)) throw error
      failureOf(error, this.log)
    }
  }

  /** Switches extensions on; answers those that were off. The first time that the client shows that it knows MODSEQs, it is told how far it is. RFC 7162 §3.1 */
  enable(...extensions: readonly Extension[]): readonly Extension[] {
    const knewModSeqs = this.enabled.has('CONDSTORE')
    const added = this.enabled.add(extensions)
    if (this.#view !== undefined && this.enabled.has('CONDSTORE') && !knewModSeqs)
      writeHighestModSeq(this.#view, this.output)
    if (this.#view !== undefined) this.#view.tellsRecent = !this.isRev2
    this.#followMetadata()
    return added
  }

  /** Calls `wake` when there is news of anything but the selected mailbox, until the answer is called. */
  onNews(wake: () => void): () => void {
    const all = [this.#metadataNews, this.#notifier].filter((news) => news !== undefined)
    for (const news of all) news.onNews = wake
    return () => {
      for (const news of all) news.onNews = undefined
    }
  }

  /** What others do to annotations is told from now on, or not any more. RFC 5464 §4.1, RFC 5465 §5.6 */
  #followMetadata(): void {
    const { interest } = this
    const isWanted =
      interest === undefined
        ? this.enabled.has('METADATA')
        : interest.has('MailboxMetadataChange') || interest.has('ServerMetadataChange')
    if (isWanted) this.#metadataNews ??= new MetadataNews(this)
    else this.#forgetMetadata()
  }

  #forgetMetadata(): void {
    this.#metadataNews?.[Symbol.dispose]()
    this.#metadataNews = undefined
  }

  #forgetNews(): void {
    this.#forgetMetadata()
    this.#notifier?.[Symbol.dispose]()
    this.#notifier = undefined
  }

  /** Whatever the client sends next. Who asked for it by NOTIFY is told what happens meanwhile. */
  async #next(): Promise<ReceiverEvent> {
    const event = this.input.next()
    if (this.interest?.isEmpty !== false) return await event
    try {
      await pushUntil(this, event, this.interest.selected.expunges)
    } catch (error) {
      // Whoever ends the session does not wait for it; others tell what there is with the next answer.
      event.catch(() => {})
      if (endsSession(error)) throw error
      failureOf(error, this.log)
    }
    return await event
  }

  async #handle(event: ReceiverEvent): Promise<void> {
    switch (event.type) {
      case 'continuation':
        this.output.write(formatContinuation('OK'))
        return
      case 'command':
        await this.#execute(event.command, { tag: event.command.tag, uid: event.command.uid, upload: undefined })
        return
      case 'append': {
        const upload = new Upload(event, this.input, this.output)
        await this.#execute(event.command, { tag: event.command.tag, uid: event.command.uid, upload })
        upload.discard()
        return
      }
      case 'fault':
        this.#fault(event)
        return
      case 'octets':
      case 'append-text':
      case 'line':
        throw new Error(`${event.type} outside its command`)
    }
  }

  async #execute(received: (ReceiverEvent & { type: 'command' })['command'], form: Form): Promise<void> {
    const { tag } = received
    const row = commands.get(received.name)
    let mayExpunge = row?.holdsNumbers === undefined
    let completion: Completion | undefined
    received.args.spelling = this.spelling
    try {
      const { run, holdsNumbers } = this.#admitted(row, form).prepare(received.args, form)
      mayExpunge = !holdsNumbers
      if (row?.looks !== undefined) await this.#look(row.looks)
      completion = await run(this)
      await this.announce(mayExpunge, form.uid, row?.expunges)
    } catch (error) {
      if (!this.connection.signal.aborted && !endsSession(error)) {
        await this.announce(mayExpunge, form.uid)
        const { status, code, text } = failureOf(error, this.log)
        this.output.write(formatStatusResponse(tag, status, text, code))
        if (status === 'BAD') this.#countBad()
        else this.#badCommands = 0
        await this.output.flow()
        return
      }
      throw error
    }
    this.#badCommands = 0
    const name = form.uid ? `UID ${received.name}` : received.name
    this.output.write(formatStatusResponse(tag, 'OK', completion?.text ?? `${name} completed`, completion?.code))
    if (completion?.afterReply === undefined) await this.output.flow()
    else {
      this.output.flush()
      await completion.afterReply()
    }
  }

  async #look(how: 'always' | 'if-possible'): Promise<void> {
    try {
      await this.#view?.look()
    } catch (error) {
      if (how === 'always' || !(error instanceof StoreError)) throw error
      this.log.log('err', 'mailbox can not be looked at', { mailbox: this.view.mailbox.name, cause: error.message })
    }
  }

  /** The row, when the command exists and may be given now. */
  #admitted(row: Command | undefined, form: Form): Command {
    if (row === undefined || (form.uid && row.uid === undefined))
      throw new Refusal('BAD', undefined, 'Unknown command, CAPABILITY tells what there is')
    if (row.states.includes(this.state)) return row
    switch (this.state) {
      case 'not-authenticated':
        throw new Refusal('BAD', undefined, 'Log in first')
      case 'authenticated':
        throw new Refusal(
          'BAD',
          undefined,
          row.states.includes('selected') ? 'Select a mailbox first' : 'Logged in already',
        )
      case 'selected':
        throw new Refusal('BAD', undefined, 'Logged in already')
    }
  }

  #fault(fault: ReceiverFault): void {
    this.output.write(formatStatusResponse(fault.tag, fault.status, fault.text, fault.code))
    if (fault.close) {
      this.untagged('BYE', 'More than can be skipped')
      this.logout()
    } else if (fault.status === 'BAD') this.#countBad()
  }

  #countBad(): void {
    const limit = this.#user === undefined ? badCommands.beforeLogin : badCommands.afterLogin
    if (++this.#badCommands < limit) return
    this.untagged('BYE', 'Too many bad commands')
    this.logout()
  }

  #endOf(error: unknown): void {
    if (error instanceof Disconnected || error instanceof ConnectionLost || this.connection.signal.aborted) return
    if (error instanceof ConnectionTimeout) this.untagged('BYE', 'Idle for too long')
    else if (error instanceof MailboxGone) this.untagged('BYE', 'The selected mailbox was deleted')
    else if (error instanceof Stopping) this.untagged('BYE', error.message)
    else {
      const { text } = failureOf(error, this.log)
      this.untagged('BYE', text)
    }
  }

  async #close(): Promise<void> {
    try {
      this.output.flush()
      await this.connection.close()
      await this.#leave(this.#view)
    } catch (error) {
      this.log.log('warning', 'session did not close cleanly', { cause: String(error) })
    }
    this.#forgetNews()
    this.#presence.withdraw()
    if (this.#user !== undefined) this.log.log('info', 'logout', { user: this.#user.id })
  }

  /** SHR-02. Whoever can't have those reads his own mail. */
  async #ensureShared(hierarchy: Hierarchy): Promise<void> {
    try {
      await hierarchy.ensureShared()
    } catch (error) {
      if (!(error instanceof StoreError)) throw error
      this.log.log('err', 'a shared root can not be made', { cause: error.message })
    }
  }

  #loggedIn() {
    if (this.#user === undefined) throw new Error('nobody is logged in')
    return this.#user
  }
}

/** Whether the session can't go on behind this error. */
export function endsSession(error: unknown): boolean {
  return [ConnectionLost, ConnectionTimeout, Disconnected, MailboxGone, Stopping].some((kind) => error instanceof kind)
}
