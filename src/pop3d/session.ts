/**
 * One client's session, RFC 1939 §3: greeting, AUTHORIZATION, TRANSACTION, and with QUIT the UPDATE state. Commands are
 * executed one after another in the order they came; clients may send the next before the answer (RFC 2449 §6.8). A session
 * that ends in any other way than QUIT removes nothing.
 */
import type { Authenticator, Login } from '../auth/types.ts'
import type { Clock } from '../base/clock.ts'
import { SyntaxFault } from '../base/errors.ts'
import type { UserId } from '../base/ids.ts'
import type { Log } from '../base/log.ts'
import type { Announcement, EventBus } from '../events/types.ts'
import { parseCommand } from '../proto/pop3/command.ts'
import { err, ok } from '../proto/pop3/response.ts'
import { Disconnected, Stopping } from '../server/client-octets.ts'
import { Output } from '../server/output.ts'
import { atOldServer, carry, enterPassage } from '../server/passage.ts'
import { type ClientConnection, ConnectionTimeout } from '../server/types.ts'
import type { Store } from '../store/types.ts'
import type { Circumstances, StateName } from './command.ts'
import { commands } from './commands/index.ts'
import { Input } from './input.ts'
import { recordLogin } from './login-delay.ts'
import { Maildrop } from './maildrop.ts'
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
const BAD_COMMANDS = { authorization: 3, transaction: 20 }
const FAILED_LOGINS = 5
/** Pause after the first refused login, doubled with each more. */
const REFUSAL_PAUSE_MS = 250

/** A response broke off in the middle: the client must not take what comes next for the rest of it. */
export class BrokenOff extends Error {
  override readonly name = 'BrokenOff'
}

/** Made for a connection; `run` is its life. Commands use the rest. */
export class Session {
  readonly connection: ClientConnection
  readonly services: Services
  readonly output: Output
  readonly input: Input
  readonly log: Log
  /** What USER said, until PASS. */
  user: string | undefined
  readonly #presence: Announcement
  #maildrop: Maildrop | undefined
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
      service: 'pop3',
      sessionId: connection.id,
      clientAddress: connection.remoteAddress,
      activity: 'connected',
    })
  }

  get state(): StateName {
    return this.#maildrop ? 'transaction' : 'authorization'
  }

  get maildrop(): Maildrop {
    if (!this.#maildrop) throw new Error('nobody is logged in')
    return this.#maildrop
  }

  get circumstances(): Circumstances {
    const { channel, canUpgrade } = this.connection
    const { settings, authenticator } = this.services
    return { state: this.state, canUpgrade, offer: authenticator.offer(channel), gatewayMode: settings().gatewayMode }
  }

  /** From the greeting to the end of the connection. Rejects never. */
  async run(): Promise<void> {
    try {
      // No timestamp in it: APOP would need passwords that can be read back. RFC 1939 §7
      this.output.write(ok('Wherry POP3 ready'))
      while (this.#open) await this.#execute(await this.input.line())
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

  /** The client proved who it is. Answers the text for it. Throws StoreError, and Refusal when it comes too soon. */
  async login(userId: UserId): Promise<string> {
    const { settings, store, clock } = this.services
    const account = store.account(userId)
    const maildrop = await Maildrop.open(account)
    try {
      await recordLogin(account, settings().loginDelaySeconds, clock)
    } catch (error) {
      await maildrop.close()
      if (error instanceof Refusal) this.log.log('notice', 'login refused', { user: userId, reason: error.message })
      throw error
    }
    this.#maildrop = maildrop
    this.connection.authenticated(userId)
    this.connection.setIdleTimeout(settings().idleMs)
    this.#presence.update({ user: userId, activity: 'logged in', mailbox: 'INBOX' })
    return `maildrop has ${maildrop.count} messages (${maildrop.sizeOctets} octets)`
  }

  /** The client proved who it is, and goes on at the old server, until the session is over. Throws AuthError; what `carry` throws. */
  async pass({ userId, passage }: Login & Required<Pick<Login, 'passage'>>): Promise<undefined> {
    const old = await enterPassage(passage, this.connection.signal)
    const { idleMs } = this.services.settings()
    this.connection.authenticated()
    this.connection.setIdleTimeout(idleMs)
    this.#presence.update({ user: userId, activity: atOldServer, mailbox: 'INBOX' })
    this.output.write(ok('logged in'))
    this.output.flush()
    this.end()
    await carry(this.connection, old, { first: this.input.rest(), idleMs, isBetween: () => true })
    return undefined
  }

  /** A login was refused: the answer waits, the longer the more often, and at last the connection ends. */
  async loginRefused(): Promise<void> {
    this.#failedLogins++
    await this.services.clock.sleep(REFUSAL_PAUSE_MS * 2 ** (this.#failedLogins - 1), this.connection.signal)
    if (this.#failedLogins >= FAILED_LOGINS) this.end()
  }

  /** The TLS handshake, right behind the reply that asks for it: forgets everything but the connection. RFC 2595 §4 */
  async upgrade(reply: string): Promise<void> {
    this.output.write(reply)
    this.output.flush()
    await this.connection.upgrade()
    this.input.restart()
    this.user = undefined
  }

  async #execute(line: Buffer): Promise<void> {
    try {
      const { keyword, argument } = parseCommand(line)
      const row = commands.get(keyword)
      if (!row) throw new SyntaxFault('unknown command', 'keyword')
      if (!row.states.includes(this.state))
        throw new Refusal(this.state === 'authorization' ? 'log in first' : 'already logged in')
      const text = await row.run(this, argument)
      if (text !== undefined) this.output.write(ok(text))
      this.#badCommands = 0
    } catch (error) {
      if (this.connection.signal.aborted || isEnd(error)) throw error
      this.output.write(replyTo(error, this.log))
      if (error instanceof SyntaxFault && ++this.#badCommands >= BAD_COMMANDS[this.state]) this.end()
    }
    await this.output.flow()
  }

  /** RFC 1939 §3: after the timeout nothing is sent; POP3 has no word for a server that stops either, where nothing was asked. */
  #endOf(error: unknown): void {
    if (this.connection.signal.aborted || error instanceof Disconnected || error instanceof Stopping) return
    if (error instanceof ConnectionTimeout) this.log.log('info', 'idle for too long')
    else if (error instanceof BrokenOff)
      this.log.log('warning', 'a message could not be read to its end', { cause: String(error.cause) })
    else this.output.write(error instanceof SyntaxFault ? err(error.message) : replyTo(error, this.log))
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
    await this.#maildrop?.close().catch((error: unknown) => {
      this.log.log('warning', 'maildrop did not close cleanly', { cause: String(error) })
    })
    this.#presence.withdraw()
  }
}

const isEnd = (error: unknown): boolean =>
  [Disconnected, Stopping, ConnectionTimeout, BrokenOff].some((kind) => error instanceof kind)
