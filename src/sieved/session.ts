/**
 * One client's session, RFC 5804: greeting with capabilities, commands one after another in the order they came; clients may send the next before the answer
 * (§2).
 */
import type { Authenticator, Login } from '../auth/types.ts'
import type { Clock } from '../base/clock.ts'
import { SyntaxFault } from '../base/errors.ts'
import type { UserId } from '../base/ids.ts'
import type { Log } from '../base/log.ts'
import type { Announcement, EventBus } from '../events/types.ts'
import { commandOf } from '../proto/managesieve/arguments.ts'
import { OutOfStep } from '../proto/managesieve/line-reader.ts'
import { formatResponse } from '../proto/managesieve/response.ts'
import { Disconnected, Stopping } from '../server/client-octets.ts'
import { Output } from '../server/output.ts'
import { type ClientConnection, ConnectionTimeout } from '../server/types.ts'
import { type Scripts, scriptsOf } from '../store/scripts.ts'
import type { Store } from '../store/types.ts'
import { capabilitiesOf } from './capabilities.ts'
import type { StateName } from './command.ts'
import { commands } from './commands/index.ts'
import { Input } from './input.ts'
import { Refusal, replyTo } from './replies.ts'
import type { Settings } from './settings.ts'

/** What the sessions of a process share. */
export interface Services {
  /** Those in force now: a reload replaces them. */
  readonly settings: () => Settings
  readonly log: Log
  readonly clock: Clock
  readonly events: EventBus
  readonly store: Store
  readonly authenticator: Authenticator
}

/** Commands one after another that are none: then the connection ends. */
const badCommands: Readonly<Record<StateName, number>> = { stranger: 3, user: 20 }
const failedLogins = 3
/** Pause after the first refused login, doubled with each more. */
const refusalPauseMs = 250
/** RFC 5804 §1.2 asks for 30 minutes at least. */
const idleMs = 30 * 60_000

interface User {
  readonly id: UserId
  readonly scripts: Scripts
}

/** Made for a connection; `run` is its life. Commands use the rest. */
export class Session {
  readonly connection: ClientConnection
  readonly services: Services
  readonly output: Output
  readonly input: Input
  readonly log: Log
  readonly #presence: Announcement
  #user: User | undefined
  #open = true
  #badCommands = 0
  #failedLogins = 0

  constructor(connection: ClientConnection, services: Services) {
    this.connection = connection
    this.services = services
    this.log = services.log.child({ session: connection.id, client: connection.remoteAddress })
    this.output = new Output(connection)
    this.input = new Input(connection, this.output)
    this.#presence = services.events.announce({
      service: 'sieve',
      sessionId: connection.id,
      clientAddress: connection.remoteAddress,
      activity: 'connected',
    })
  }

  get state(): StateName {
    return this.#user === undefined ? 'stranger' : 'user'
  }

  /** Whoever is logged in; undefined: nobody. */
  get userId(): UserId | undefined {
    return this.#user?.id
  }

  /** The user's. Only for commands of that state. */
  get scripts(): Scripts {
    if (this.#user === undefined) throw new Error('nobody is logged in')
    return this.#user.scripts
  }

  /** From the greeting to the end of the connection. Rejects never. */
  async run(): Promise<void> {
    try {
      this.tellCapabilities('Wherry ManageSieve ready')
      while (this.#open) await this.#execute()
    } catch (error) {
      this.#endOf(error)
    } finally {
      await this.#close()
    }
  }

  /** Ends the session after the reply at hand. */
  end(): void {
    this.#open = false
  }

  /** RFC 5804 §1.7 */
  tellCapabilities(text?: string): void {
    for (const line of capabilitiesOf(this)) this.output.write(line)
    this.output.write(formatResponse('OK', text))
  }

  /** The client proved who it is. Throws StoreError. */
  async login({ userId }: Login): Promise<void> {
    const { store, settings } = this.services
    const account = store.account(userId)
    await account.ensure()
    this.#user = { id: userId, scripts: scriptsOf(account) }
    this.input.takeScripts(settings().limits.octets)
    this.connection.authenticated(userId)
    this.connection.setIdleTimeout(idleMs)
    this.#presence.update({ user: userId, activity: 'logged in' })
  }

  /** The client is nobody again; what counts against it stays. RFC 5804 §2.14.1 */
  unauthenticate(): void {
    this.log.log('info', 'logout', { user: this.userId })
    this.#user = undefined
    this.input.takeNoScripts()
    this.connection.unauthenticated()
    this.#presence.update({ user: '', activity: 'connected' })
  }

  /** A login was refused: the answer waits, the longer the more often, and at last the connection ends. */
  async loginRefused(): Promise<void> {
    this.#failedLogins++
    await this.services.clock.sleep(refusalPauseMs * 2 ** (this.#failedLogins - 1), this.connection.signal)
    if (this.#failedLogins >= failedLogins) this.bye('too many failed logins')
  }

  /** The TLS handshake, right behind the reply that asks for it: forgets everything but the connection. RFC 5804 §2.2 */
  async upgrade(): Promise<void> {
    this.output.write(formatResponse('OK', 'begin TLS now'))
    this.output.flush()
    await this.connection.upgrade()
    this.input.restart()
    this.tellCapabilities('TLS is active')
  }

  async #execute(): Promise<void> {
    try {
      const { word, args } = commandOf(await this.input.line())
      const row = commands.get(word)
      if (row === undefined) throw new SyntaxFault('unknown command', 'command')
      if (!row.states.includes(this.state))
        throw new Refusal(this.state === 'stranger' ? 'log in first' : 'logged in already')
      const completion = await row.run(this, args)
      if (completion !== undefined) this.output.write(formatResponse('OK', completion.text, completion.code))
      this.#badCommands = 0
    } catch (error) {
      if (this.connection.signal.aborted || endsSession(error)) throw error
      // BYE was the answer.
      if (this.#open) this.output.write(replyTo(error, this.log))
      if (error instanceof SyntaxFault && ++this.#badCommands >= badCommands[this.state])
        this.bye('too many commands that are none')
    }
    await this.output.flow()
  }

  /** Says goodbye, and why. */
  bye(text: string, code?: 'TRYLATER'): void {
    this.output.write(formatResponse('BYE', text, code))
    this.end()
  }

  #endOf(error: unknown): void {
    if (this.connection.signal.aborted || error instanceof Disconnected) return
    if (error instanceof Stopping) this.bye(error.message, 'TRYLATER')
    else if (error instanceof ConnectionTimeout) this.bye('idle for too long')
    else if (error instanceof OutOfStep) this.bye(error.message)
    else this.output.write(replyTo(error, this.log))
  }

  async #close(): Promise<void> {
    try {
      if (!this.connection.signal.aborted) {
        this.output.flush()
        await this.connection.close()
      }
    } catch (error) {
      this.log.log('info', 'connection did not close cleanly', { cause: String(error) })
    }
    this.#presence.withdraw()
  }
}

const endsSession = (error: unknown): boolean =>
  [Disconnected, Stopping, ConnectionTimeout, OutOfStep].some((kind) => error instanceof kind)
