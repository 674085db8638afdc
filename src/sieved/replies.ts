/** From kinds of failure to ManageSieve's words: the response codes of RFC 5804 §1.3. */
import { randomBytes } from 'node:crypto'
import { AuthError, type AuthErrorKind, StoreError, SyntaxFault } from '../base/errors.ts'
import type { Log } from '../base/log.ts'
import { TooLarge } from '../proto/managesieve/line-reader.ts'
import { formatResponse, type ResponseCode } from '../proto/managesieve/response.ts'

/** A command that this server answers NO to, for a reason that lies in the protocol or in the script. */
export class Refusal extends Error {
  override readonly name = 'Refusal'
  readonly code: ResponseCode | undefined

  constructor(text: string, code?: ResponseCode) {
    super(text)
    this.code = code
  }
}

/** The answer to what a command threw. What is none of the families is our defect: it is logged under an id that the client is told. */
export function replyTo(error: unknown, log: Log): Buffer {
  if (error instanceof Refusal) return formatResponse('NO', error.message, error.code)
  if (error instanceof TooLarge) return formatResponse('NO', error.message, 'QUOTA/MAXSIZE')
  if (error instanceof SyntaxFault) return formatResponse('NO', error.message)
  if (error instanceof AuthError) return authReply(error.kind)
  if (error instanceof StoreError) return storeReply(error)
  const incident = randomBytes(6).toString('hex')
  log.log('err', 'command failed by a defect', {
    incident,
    cause: error instanceof Error ? (error.stack ?? error.message) : String(error),
  })
  return formatResponse('NO', `internal error, incident ${incident}`, 'TRYLATER')
}

function authReply(kind: AuthErrorKind): Buffer {
  switch (kind) {
    case 'bad-credentials':
      return formatResponse('NO', 'unknown user or wrong password')
    case 'denied':
      return formatResponse('NO', 'this user may not manage scripts here')
    case 'unavailable':
      return formatResponse('NO', 'the password cannot be checked now, try again later', 'TRYLATER')
    case 'login-delay':
      return formatResponse('NO', 'the mail server behind asks for a longer pause between logins', 'TRYLATER')
    case 'in-use':
      return formatResponse('NO', 'the maildrop at the mail server behind is locked by another session', 'TRYLATER')
    case 'privacy-required':
      return formatResponse('NO', 'a password is taken over TLS only: use STARTTLS first', 'ENCRYPT-NEEDED')
    case 'no-mechanism':
      return formatResponse('NO', 'the mechanism is not available')
  }
}

function storeReply({ kind, message }: StoreError): Buffer {
  switch (kind) {
    case 'not-found':
      return formatResponse('NO', message, 'NONEXISTENT')
    case 'already-exists':
      return formatResponse('NO', message, 'ALREADYEXISTS')
    case 'in-use':
      return formatResponse('NO', message, 'ACTIVE')
    case 'limit':
      return formatResponse('NO', message, 'QUOTA/MAXSCRIPTS')
    case 'too-big':
      return formatResponse('NO', message, 'QUOTA/MAXSIZE')
    case 'invalid':
      return formatResponse('NO', message)
    case 'over-quota':
      return formatResponse('NO', 'the quota is used up', 'QUOTA')
    case 'no-permission':
      return formatResponse('NO', 'not permitted')
    case 'damaged':
    case 'away':
    case 'expunged':
    case 'unavailable':
      return formatResponse('NO', 'scripts cannot be read or kept now, try again later', 'TRYLATER')
  }
}
