/**
 * The submission server: a few connections that all users share, kept as long as there is something to hand over. nodemailer's connection speaks
 * SMTP (PIPELINING, 8BITMIME, SIZE, SMTPUTF8, STARTTLS). RFC 5321, RFC 6409
 */
import { once } from 'node:events'
import { Readable } from 'node:stream'
import SmtpConnection from 'nodemailer/lib/smtp-connection'
import { RemoteError } from '#src/base/errors.ts'

export interface SubmissionSettings {
  readonly host: string
  readonly port: number
  /** MAIL FROM. */
  readonly sender: string
  readonly connectMs: number
  /** Without any octet from the server. */
  readonly idleMs: number
}

export interface Submitted {
  /** A user id: a mail address. */
  readonly recipient: string
  readonly sizeOctets: number
  readonly isEightBit: boolean
  chunks(): AsyncIterable<Buffer>
}

export type Verdict =
  /** The server answers for it now. */
  | { readonly kind: 'accepted' }
  /** This message, for good. */
  | { readonly kind: 'refused'; readonly reply: string }
  /** This message, for now. */
  | { readonly kind: 'postponed'; readonly reply: string }

const mostConnections = 8
const perConnection = 1_000
const keepMs = 10_000

export class Submission {
  readonly #settings: SubmissionSettings
  readonly #idle: Connection[] = []
  readonly #waiting: ((connection: Connection | undefined) => void)[] = []
  #open = 0

  constructor(settings: SubmissionSettings) {
    this.#settings = settings
  }

  get sender(): string {
    return this.#settings.sender
  }

  /** Throws RemoteError when the server can't be reached, or takes no mail at all from us or for this recipient. */
  async submit(message: Submitted): Promise<Verdict> {
    for (;;) {
      const connection = await this.#acquire()
      const isReused = connection.used > 0
      const result = await connection.send(this.#settings.sender, message)
      if (connection.isUsable && connection.used < perConnection) this.#release(connection)
      else this.#drop(connection)
      if (!(result instanceof RemoteError)) return result
      // A server may end a connection at any time between two messages; nothing of this one had been sent.
      if (!isReused || !connection.lostBefore) throw result
    }
  }

  async #acquire(): Promise<Connection> {
    const idle = this.#idle.pop()
    if (idle !== undefined) return idle
    if (this.#open >= mostConnections) {
      const { promise, resolve } = Promise.withResolvers<Connection | undefined>()
      this.#waiting.push(resolve)
      const handedOver = await promise
      if (handedOver !== undefined) return handedOver
    } else this.#open++
    try {
      return await Connection.open(this.#settings)
    } catch (error) {
      this.#freeSlot()
      throw error
    }
  }

  #release(connection: Connection): void {
    const next = this.#waiting.shift()
    if (next !== undefined) {
      next(connection)
      return
    }
    this.#idle.push(connection)
    connection.restAtMost(keepMs, () => {
      const at = this.#idle.indexOf(connection)
      if (at < 0) return
      this.#idle.splice(at, 1)
      this.#drop(connection)
    })
  }

  #drop(connection: Connection): void {
    connection.quit()
    this.#freeSlot()
  }

  /** The slot goes to who waits longest, or becomes free. */
  #freeSlot(): void {
    const next = this.#waiting.shift()
    if (next !== undefined) next(undefined)
    else this.#open--
  }

  /** Ends connections that are not in use. */
  close(): void {
    for (const connection of this.#idle.splice(0)) this.#drop(connection)
  }
}

class Connection {
  readonly #smtp: SmtpConnection
  readonly #server: string
  #rest: NodeJS.Timeout | undefined
  #onRested: () => void = () => {}
  used = 0
  isUsable = true
  /** The connection was lost before the last message began. */
  lostBefore = false

  private constructor(smtp: SmtpConnection, server: string) {
    this.#smtp = smtp
    this.#server = server
    smtp.on('error', () => this.#lost())
    smtp.on('end', () => this.#lost())
  }

  /** Throws RemoteError. */
  static async open({ host, port, connectMs, idleMs }: SubmissionSettings): Promise<Connection> {
    const smtp = new SmtpConnection({
      host,
      port,
      secure: false,
      connectionTimeout: connectMs,
      greetingTimeout: connectMs,
      dnsTimeout: connectMs,
      socketTimeout: idleMs,
      opportunisticTLS: true,
      // No secret is sent: encryption without proof is better than none. RFC 7435
      tls: { rejectUnauthorized: false },
    })
    const server = `${host}:${port}`
    const failed = once(smtp, 'error').then(([error]) => {
      throw unavailable(server, error as SmtpFailure)
    })
    const ended = once(smtp, 'end').then(() => {
      throw unavailable(server, new Error('it closes the connection'))
    })
    const connected = new Promise<void>((resolve) => smtp.connect(() => resolve()))
    await Promise.race([connected, failed, ended]).finally(() => {
      for (const lost of [failed, ended]) lost.catch(() => {})
    })
    return new Connection(smtp, server)
  }

  /** A RemoteError as its answer: there is no verdict about this message. */
  async send(sender: string, message: Submitted): Promise<Verdict | RemoteError> {
    clearTimeout(this.#rest)
    this.used++
    this.lostBefore = false
    const octets = Readable.from(message.chunks(), { objectMode: false })
    const failure = await new Promise<SmtpFailure | undefined>((resolve) => {
      const envelope = {
        from: sender,
        to: [envelopeAddress(message.recipient)],
        size: message.sizeOctets,
        use8BitMime: message.isEightBit,
      }
      this.#smtp.send(envelope, octets, (error) => resolve(error ?? undefined))
    })
    if (failure === undefined) return { kind: 'accepted' }
    this.lostBefore = !octets.readableDidRead && failure.responseCode === undefined
    octets.destroy()
    const { code, responseCode } = failure
    if (this.isUsable && (code === 'EENVELOPE' || code === 'EMESSAGE') && responseCode !== 421) await this.#reset()
    // In the middle of a message there is no way back to the next command.
    else this.#lost()
    return verdictOf(failure) ?? unavailable(this.#server, failure)
  }

  #reset(): Promise<void> {
    return new Promise((resolve) => {
      this.#onRested = resolve
      this.#smtp.reset((error) => {
        if (error) this.#lost()
        resolve()
      })
    })
  }

  #lost(): void {
    this.isUsable = false
    this.#smtp.close()
    this.#onRested()
  }

  restAtMost(ms: number, onOver: () => void): void {
    this.#onRested = onOver
    this.#rest = setTimeout(onOver, ms)
    this.#rest.unref()
  }

  quit(): void {
    clearTimeout(this.#rest)
    this.#onRested = () => {}
    if (this.isUsable) this.#smtp.quit()
    this.isUsable = false
  }
}

type SmtpFailure = Error & {
  code?: string | undefined
  command?: string | undefined
  response?: string | undefined
  responseCode?: number | undefined
}

/** What was said about this message; undefined when it was about the sender, the recipient or the connection. */
function verdictOf({ code, command, responseCode, message, response }: SmtpFailure): Verdict | undefined {
  const reply = printable(response ?? message)
  // 552: too large for this server. RFC 1870 §6.1
  if (code === 'EENVELOPE' && command === 'MAIL FROM' && responseCode === 552) return { kind: 'refused', reply }
  if (code !== 'EMESSAGE') return undefined
  return { kind: responseCode !== undefined && responseCode < 500 ? 'postponed' : 'refused', reply }
}

function unavailable(server: string, { message, response }: SmtpFailure): RemoteError {
  return new RemoteError(
    `the submission server ${server} takes no mail now (submit_host, submit_port): ${printable(message)}`,
    { retryable: true, ...(response === undefined ? {} : { serverText: printable(response) }) },
  )
}

function printable(text: string): string {
  return text.slice(0, 500).replace(/[\x00-\x1f\x7f]+/g, ' ')
}

/** A local part that is no dot-atom goes in quotes. RFC 5321 §4.1.2 */
function envelopeAddress(userId: string): string {
  const at = userId.lastIndexOf('@')
  const local = userId.slice(0, at)
  if (/^[\w!#$%&'*+/=?^`{|}~\u0080-\uffff-]+(?:\.[\w!#$%&'*+/=?^`{|}~\u0080-\uffff-]+)*$/.test(local)) return userId
  return `"${local.replace(/["\\]/g, '\\$&')}"${userId.slice(at)}`
}
