/**
 * One mail server's session. Commands are executed one after another in the order they came; clients may send the next before the answer (RFC 2920).
 * What a maintainer could break: no octet of a message is ever looked at as a command. So a command that announces octets and is refused has them read all the same,
 * and where nobody knows how many they are, the session ends.
 */
import type { Authenticator, Login } from '../auth/types.ts'
import type { Clock } from '../base/clock.ts'
import { AuthError, SyntaxFault } from '../base/errors.ts'
import type { UserId } from '../base/ids.ts'
import type { Log } from '../base/log.ts'
import type { Deliverer } from '../delivery/types.ts'
import type { Announcement, EventBus } from '../events/types.ts'
import { parseCommand } from '../proto/lmtp/command.ts'
import { formatReply, type Reply } from '../proto/lmtp/reply.ts'
import { Disconnected, Stopping } from '../server/client-octets.ts'
import { Output } from '../server/output.ts'
import { type ClientConnection, ConnectionTimeout } from '../server/types.ts'
import { commands } from './commands/index.ts'
import { Input } from './input.ts'
import type { Mail } from './mail.ts'
import type { Recipients } from './recipients.ts'
import { Refusal, replyTo } from './replies.ts'
import type { Settings } from './settings.ts'

/** What the sessions of a process share. */
export interface Services {
  /** Those in force now: a reload replaces them. */
  readonly settings: () => Settings
  readonly log: Log
  readonly clock: Clock
  readonly events: EventBus
  readonly recipients: Recipients
  readonly deliverer: Deliverer
  readonly authenticator: Authenticator
}

/** Commands that are none; then the connection ends. Other refusals are a mail server's daily bread. */
const BAD_COMMANDS = 20
const FAILED_LOGINS = 5
/** Pause after the first refused login, doubled with each more. */
const REFUSAL_PAUSE_MS = 250
/** For the next octets of a client. RFC 5321 §4.5.3.2.7 */
const IDLE_MS = 5 * 60_000

/** The client that a trusted mail server had the message from, as it says. */
export type Origin = ReadonlyMap<'NAME' | 'ADDR' | 'PORT' | 'PROTO' | 'HELO' | 'IDENT' | 'SOURCE', string>

/** Made for a connection; `run` is its life. Commands use the rest. */
export class Session {
  readonly connection: ClientConnection
  readonly services: Services
  readonly output: Output
  readonly input: Input
  readonly log: Log
  /** What the client calls itself; undefined before LHLO. */
  helo: string | undefined
  /** Who logged in. */
  user: UserId | undefined
  origin: Origin = new Map()
  readonly #presence: Announcement
  #mail: Mail | undefined
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
      service: 'lmtp',
      sessionId: connection.id,
      clientAddress: connection.remoteAddress,
      activity: 'connected',
    })
  }

  get settings(): Settings {
    return this.services.settings()
  }

  get isTrusted(): boolean {
    const { isLocal, remoteAddress } = this.connection
    return isLocal || this.settings.isTrusted(remoteAddress)
  }

  /** The transaction that is open. */
  get mail(): Mail | undefined {
    return this.#mail
  }

  /** From the greeting to the end of the connection. Rejects never. */
  async run(): Promise<void> {
    try {
      // Mail servers don't log in, and stay.
      this.connection.authenticated()
      this.connection.setIdleTimeout(IDLE_MS)
      this.reply({ code: 220, text: `${this.settings.host} LMTP Wherry ready` })
      while (this.#open) await this.#execute(await this.input.line())
    } catch (error) {
      this.#endOf(error)
    } finally {
      await this.#close()
    }
  }

  reply(reply: Reply): void {
    this.output.write(formatReply(reply, this.#mail?.isUtf8 === true))
  }

  /** Ends the session after the reply at hand. */
  end(): void {
    this.#open = false
  }

  /** Takes the place of the one that is open. */
  async begin(mail: Mail | undefined): Promise<void> {
    const before = this.#mail
    this.#mail = mail
    await before?.[Symbol.asyncDispose]()
  }

  /** Answers a login, after a pause when it was refused. Throws AuthError, and what `decide` throws. */
  async login(decide: () => Promise<Login>): Promise<void> {
    try {
      const { userId } = await decide()
      this.user = userId
      this.#presence.update({ user: userId, activity: 'logged in' })
    } catch (error) {
      if (error instanceof AuthError && error.kind === 'bad-credentials') {
        this.#failedLogins++
        await this.services.clock.sleep(REFUSAL_PAUSE_MS * 2 ** (this.#failedLogins - 1), this.connection.signal)
        if (this.#failedLogins >= FAILED_LOGINS) this.end()
      }
      throw error
    }
  }

  /** The TLS handshake, right behind the reply that asks for it: forgets everything but the connection. RFC 3207 §4.2 */
  async upgrade(reply: Reply): Promise<void> {
    this.reply(reply)
    this.output.flush()
    await this.connection.upgrade()
    this.input.restart()
    this.helo = undefined
    this.user = undefined
    this.origin = new Map()
  }

  async #execute(line: Buffer): Promise<void> {
    try {
      const { keyword, argument } = parseCommand(line)
      const row = commands.get(keyword)
      if (row === undefined) throw new SyntaxFault('unknown command', 'command')
      const reply = await row.run(this, argument)
      if (reply !== undefined) this.reply(reply)
      this.#badCommands = 0
    } catch (error) {
      if (this.connection.signal.aborted || isEnd(error)) throw error
      this.reply(replyTo(error, this.settings, this.log))
      if (error instanceof SyntaxFault && ++this.#badCommands >= BAD_COMMANDS) this.end()
    }
    await this.output.flow()
  }

  #endOf(error: unknown): void {
    if (this.connection.signal.aborted || error instanceof Disconnected) return
    if (error instanceof SyntaxFault) this.reply(replyTo(error, this.settings, this.log))
    else this.reply(this.#goodbye(error))
  }

  /** RFC 5321 §3.8 */
  #goodbye(error: unknown): Reply {
    const { host } = this.settings
    if (error instanceof Stopping) return { code: 421, status: '4.3.2', text: `${host} is stopping` }
    if (!(error instanceof ConnectionTimeout)) return replyTo(error, this.settings, this.log)
    this.log.log('info', 'idle for too long')
    return { code: 421, status: '4.4.2', text: `${host} has waited for too long` }
  }

  async #close(): Promise<void> {
    try {
      await this.begin(undefined)
      if (!this.connection.signal.aborted) {
        this.output.flush()
        await this.connection.close()
      }
    } catch (error) {
      this.log.log('info', 'connection did not close cleanly', { cause: String(error) })
    }
    // LMTP-12
    this.log.log('info', 'connection closed')
    this.#presence.withdraw()
  }
}

const isEnd = (error: unknown): boolean =>
  [Disconnected, Stopping, ConnectionTimeout].some((kind) => error instanceof kind)

/** The transaction that a command belongs to. Throws Refusal. */
export function mailOf({ mail }: Session): Mail {
  if (mail === undefined) throw new Refusal(503, '5.5.1', 'MAIL comes first')
  return mail
}

/** Throws Refusal for a client that has not introduced itself, or not logged in where it must. */
export function mustBeGreeted({ helo, user, isTrusted, settings }: Session): void {
  if (helo === undefined) throw new Refusal(503, '5.5.1', 'LHLO comes first')
  if (settings.authRequired && user === undefined && !isTrusted)
    throw new Refusal(530, '5.7.0', 'log in first: AUTH, behind STARTTLS perhaps')
}
