/**
 * The submission server: a few connections that all users share, kept as long as there is something to hand over. nodemailer's connection speaks
 * SMTP (PIPELINING, 8BITMIME, SIZE, SMTPUTF8, STARTTLS, AUTH). RFC 5321, RFC 6409
 */
import { once } from 'node:events'
import { isIP } from 'node:net'
import { Readable } from 'node:stream'
import SmtpConnection from 'nodemailer/lib/smtp-connection'
import { RemoteError } from '../base/errors.ts'

export interface SubmissionSettings {
  readonly host: string
  readonly port: number
  /** Undefined: the server knows us by our address. docs/decisions/0351-a-name-at-the-submission-server.md */
  readonly login?: { readonly user: string; password(): string } | undefined
  readonly connectMs: number
  /** Without any octet from the server. */
  readonly idleMs: number
}

export interface Submitted {
  /** MAIL FROM; empty for the null reverse-path. */
  readonly sender: string
  /** A mail address; a user id is one. */
  readonly recipient: string
  readonly sizeOctets: number
  readonly isEightBit: boolean
  chunks(): AsyncIterable<Buffer>
}

export type Verdict =
  /** The server answers for it now. */
  | { readonly kind: 'accepted' }
  /** Refused for good, postponed for now. `about`: what is wrong with it. */
  | { readonly kind: 'refused' | 'postponed'; readonly about: Subject; readonly reply: string }

/** `sender`: it, or us. */
export type Subject = 'message' | 'sender' | 'recipient'

/** The connection ended, or the server went away, while a message was on its way: what the server can't get through may be that message. */
export class Interrupted extends RemoteError {}

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

  /** Throws RemoteError when the server can't be reached, or takes no mail at all from us now. */
  async submit(message: Submitted): Promise<Verdict> {
    for (;;) {
      const connection = await this.#acquire()
      const isReused = connection.used > 0
      const result = await connection.send(message)
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
  static async open({ host, port, login, connectMs, idleMs }: SubmissionSettings): Promise<Connection> {
    const isProven = login !== undefined && !isThisMachine(host)
    const smtp = new SmtpConnection({
      host,
      port,
      secure: false,
      connectionTimeout: connectMs,
      greetingTimeout: connectMs,
      dnsTimeout: connectMs,
      socketTimeout: idleMs,
      ...(isProven ? { requireTLS: true } : { opportunisticTLS: true }),
      // Where no secret is sent, encryption without proof is better than none. RFC 7435
      tls: { rejectUnauthorized: isProven },
    })
    const server = `${host}:${port}`
    const failed = once(smtp, 'error').then(([error]) => {
      throw unavailable(server, error as SmtpFailure)
    })
    const ended = once(smtp, 'end').then(() => {
      throw unavailable(server, new Error('it closes the connection'))
    })
    const connected = new Promise<void>((resolve) => smtp.connect(() => resolve())).then(() => {
      if (login !== undefined) return loggedIn(smtp, login, server)
    })
    await Promise.race([connected, failed, ended]).finally(() => {
      for (const lost of [failed, ended]) lost.catch(() => {})
    })
    return new Connection(smtp, server)
  }

  /** A RemoteError as its answer: there is no verdict about this message. */
  async send(message: Submitted): Promise<Verdict | RemoteError> {
    clearTimeout(this.#rest)
    this.used++
    this.lostBefore = false
    const octets = Readable.from(message.chunks(), { objectMode: false })
    const failure = await new Promise<SmtpFailure | undefined>((resolve) => {
      const envelope = {
        from: message.sender === '' ? (false as const) : envelopeAddress(message.sender),
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
    return verdictOf(failure) ?? unavailable(this.#server, failure, octets.readableDidRead ? Interrupted : RemoteError)
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

/** Throws RemoteError. */
async function loggedIn(
  smtp: SmtpConnection,
  { user, password }: NonNullable<SubmissionSettings['login']>,
  server: string,
): Promise<void> {
  const failure = await new Promise<SmtpFailure | undefined>((resolve) =>
    smtp.login({ user, pass: password() }, (error) => resolve(error ?? undefined)),
  )
  if (failure === undefined) return
  smtp.close()
  throw unavailable(server, failure)
}

/** What is sent to it passes no network. */
const isThisMachine = (host: string): boolean =>
  host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'))

type SmtpFailure = Error & {
  code?: string | undefined
  command?: string | undefined
  response?: string | undefined
  responseCode?: number | undefined
}

/** What was said about this message; undefined when it was about the connection. */
function verdictOf({ code, command, responseCode, message, response }: SmtpFailure): Verdict | undefined {
  // 421: the server goes away, whatever was asked. RFC 5321 §3.8
  if (responseCode === 421 || (code !== 'EENVELOPE' && code !== 'EMESSAGE')) return undefined
  // No answer of the server: an address that nodemailer itself takes for none (command API), or a connection that was lost.
  if (code === 'EENVELOPE' && responseCode === undefined && command !== 'API') return undefined
  const reply = printable(response ?? message)
  const kind = responseCode !== undefined && responseCode < 500 ? 'postponed' : 'refused'
  // 552: too large for this server. RFC 1870 §6.1
  if (code === 'EMESSAGE' || (command === 'MAIL FROM' && responseCode === 552)) return { kind, about: 'message', reply }
  return { kind, about: command === 'RCPT TO' || /^Invalid recipient/.test(message) ? 'recipient' : 'sender', reply }
}

function unavailable(server: string, { message, response }: SmtpFailure, Kind = RemoteError): RemoteError {
  return new Kind(
    `the submission server ${server} takes no mail now (submit_host, submit_port): ${printable(message)}`,
    { retryable: true, ...(response === undefined ? {} : { serverText: printable(response) }) },
  )
}

function printable(text: string): string {
  return text.slice(0, 500).replace(/[\x00-\x1f\x7f]+/g, ' ')
}

/** A local part that is no dot-atom goes in quotes. RFC 5321 §4.1.2 */
function envelopeAddress(address: string): string {
  const at = address.lastIndexOf('@')
  const local = address.slice(0, at)
  if (/^"(?:[^"\\]|\\.)*"$/.test(local)) return address
  if (/^[\w!#$%&'*+/=?^`{|}~\u0080-\uffff-]+(?:\.[\w!#$%&'*+/=?^`{|}~\u0080-\uffff-]+)*$/.test(local)) return address
  return `"${local.replace(/["\\]/g, '\\$&')}"${address.slice(at)}`
}
