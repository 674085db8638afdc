/** From kinds of failure, and fates of messages, to LMTP's words: RFC 5321 §4.2, RFC 2034, RFC 3463, RFC 5248. */
import { randomBytes } from 'node:crypto'
import { AuthError, type AuthErrorKind, StoreError, type StoreErrorKind, SyntaxFault } from '../base/errors.ts'
import type { Log } from '../base/log.ts'
import type { Fate } from '../delivery/types.ts'
import type { Reply } from '../proto/lmtp/reply.ts'

/** A command that this server refuses, for a reason that lies in the protocol. */
export class Refusal extends Error {
  override readonly name = 'Refusal'
  readonly reply: Reply
  constructor(code: number, status: string, text: string) {
    super(text)
    this.reply = { code, status, text }
  }
}

export interface ReplyOptions {
  /** LMTP-04, `over_quota_temp_error` */
  readonly overQuotaIsTemporary: boolean
}

/** The reply to what a command threw. What is none of the families is our defect: it is logged under an id that the client is told. */
export function replyTo(error: unknown, options: ReplyOptions, log: Log): Reply {
  if (error instanceof Refusal) return error.reply
  if (error instanceof SyntaxFault) return syntaxReply(error)
  if (error instanceof AuthError) return authReply(error.kind)
  if (error instanceof StoreError) return storeReply(error, options, log)
  const incident = randomBytes(6).toString('hex')
  log.log('err', 'command failed by a defect', {
    incident,
    cause: error instanceof Error ? (error.stack ?? error.message) : String(error),
  })
  return { code: 451, status: '4.3.0', text: `internal error, incident ${incident}` }
}

function syntaxReply({ message: text, rule }: SyntaxFault): Reply {
  switch (rule) {
    case 'unknown parameter':
      return { code: 555, status: '5.5.4', text }
    case 'argument':
    case 'parameter':
      return { code: 501, status: '5.5.4', text }
    case 'FROM path':
      return { code: 501, status: '5.1.7', text }
    case 'TO path':
      return { code: 501, status: '5.1.3', text }
    case 'base64':
      return { code: 501, status: '5.5.2', text }
    default:
      return { code: 500, status: '5.5.2', text }
  }
}

function authReply(kind: AuthErrorKind): Reply {
  switch (kind) {
    case 'bad-credentials':
      return { code: 535, status: '5.7.8', text: 'unknown user or wrong password' }
    case 'denied':
      return { code: 535, status: '5.7.1', text: 'this user may not log in here' }
    case 'unavailable':
    case 'login-delay':
    case 'in-use':
      return { code: 454, status: '4.7.0', text: 'the login cannot be decided now, try again later' }
    case 'privacy-required':
      return { code: 538, status: '5.7.11', text: 'a password is taken over TLS only: use STARTTLS first' }
    case 'no-mechanism':
      return { code: 504, status: '5.5.4', text: 'the mechanism is not available' }
  }
}

function storeReply(error: StoreError, { overQuotaIsTemporary }: ReplyOptions, log: Log): Reply {
  const kind: StoreErrorKind = error.kind
  switch (kind) {
    case 'over-quota': {
      const text = 'the mailbox is full'
      return overQuotaIsTemporary ? { code: 452, status: '4.2.2', text } : { code: 552, status: '5.2.2', text }
    }
    case 'too-big':
      return { code: 552, status: '5.3.4', text: 'the message is too large' }
    case 'no-permission':
      return { code: 550, status: '5.2.1', text: 'the mailbox takes no mail' }
    case 'not-found':
    case 'already-exists':
    case 'in-use':
    case 'expunged':
    case 'limit':
    case 'invalid':
    case 'damaged':
    case 'away':
    case 'unavailable': {
      log.log('warning', 'not done now', { kind, cause: error.message })
      const text = 'the mail store or the directory does not answer properly, try again later'
      return { code: 451, status: '4.3.0', text }
    }
  }
}

/** What a recipient's fate is told as, behind the message. RFC 2033 §4.2 */
export function replyToFate(fate: Fate, address: string, id: string): Reply {
  switch (fate.kind) {
    case 'stored':
      return { code: 250, status: '2.0.0', text: `<${address}> ${id} delivered` }
    case 'duplicate':
      return { code: 250, status: '2.0.0', text: `<${address}> ${id} delivered before` }
    case 'discarded':
      return { code: 250, status: '2.0.0', text: `<${address}> ${id} accepted` }
    case 'refused':
      // RFC 5429 §2.1.1
      return { code: 550, status: '5.7.1', text: fate.text }
    case 'failed':
      return { code: fate.reply, status: fate.status, text: `<${address}> ${fate.text}` }
  }
}
