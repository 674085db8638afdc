/** From kinds of failure to POP3's words: response codes of RFC 2449 §8 and RFC 3206. */
import { randomBytes } from 'node:crypto'
import { AuthError, type AuthErrorKind, StoreError, type StoreErrorKind, SyntaxFault } from '../base/errors.ts'
import type { Log } from '../base/log.ts'
import { err, type ResponseCode } from '../proto/pop3/response.ts'

/** A command that this server answers -ERR to, for a reason that lies in the protocol. */
export class Refusal extends Error {
  override readonly name = 'Refusal'
  readonly code: ResponseCode | undefined

  constructor(text: string, code?: ResponseCode) {
    super(text)
    this.code = code
  }
}

/** The reply to what a command threw. What is none of the families is our defect: it is logged under an id that the client is told. */
export function replyTo(error: unknown, log: Log): string {
  if (error instanceof Refusal) return err(error.message, error.code)
  if (error instanceof SyntaxFault) return err(error.message)
  if (error instanceof AuthError) return authReply(error.kind)
  if (error instanceof StoreError) return storeReply(error.kind)
  const incident = randomBytes(6).toString('hex')
  log.log('err', 'command failed by a defect', {
    incident,
    cause: error instanceof Error ? (error.stack ?? error.message) : String(error),
  })
  return err(`internal error, incident ${incident}`, 'SYS/TEMP')
}

function authReply(kind: AuthErrorKind): string {
  switch (kind) {
    case 'bad-credentials':
      return err('unknown user or wrong password', 'AUTH')
    case 'denied':
      return err('this user may not use POP3 here', 'AUTH')
    case 'unavailable':
      return err('the password cannot be checked now, try again later', 'SYS/TEMP')
    case 'login-delay':
      return err('the mail server behind asks for a longer pause between logins', 'LOGIN-DELAY')
    case 'in-use':
      return err('the maildrop at the mail server behind is locked by another session', 'IN-USE')
    case 'privacy-required':
      return err('a password is taken over TLS only: use STLS first', 'AUTH')
    case 'no-mechanism':
      return err('the mechanism is not available')
  }
}

function storeReply(kind: StoreErrorKind): string {
  switch (kind) {
    case 'expunged':
      return err('the message was removed in another session')
    case 'damaged':
      return err('the message is damaged at the server', 'SYS/PERM')
    case 'away':
      return err('the message is still at the old server, which does not give it now; try again later', 'SYS/TEMP')
    case 'in-use':
      return err('the maildrop is in use', 'IN-USE')
    case 'no-permission':
      return err('permission denied', 'SYS/PERM')
    case 'not-found':
    case 'already-exists':
    case 'over-quota':
    case 'too-big':
    case 'limit':
    case 'invalid':
    case 'unavailable':
      return err('the mail store does not answer properly, try again later', 'SYS/TEMP')
  }
}
