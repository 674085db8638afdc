/** From kinds of failure to IMAP's words: RFC 3501 §7.1, response codes of RFC 5530 and RFC 7889. */

import { randomBytes } from 'node:crypto'
import { AuthError, type AuthErrorKind, StoreError, type StoreErrorKind, SyntaxFault } from '../base/errors.ts'
import type { Log } from '../base/log.ts'
import { MailboxNameFault } from '../proto/imap/mailbox-name.ts'
import { sanitiseText } from '../proto/imap/response.ts'

/** How a command ended, when not OK. */
export interface Failure {
  readonly status: 'NO' | 'BAD'
  /** Without brackets. */
  readonly code: string | undefined
  readonly text: string
}

/** A command that this server answers NO or BAD to, for a reason that lies in the protocol. */
export class Refusal extends Error implements Failure {
  override readonly name = 'Refusal'
  readonly status: 'NO' | 'BAD'
  readonly code: string | undefined

  constructor(status: 'NO' | 'BAD', code: string | undefined, text: string) {
    super(text)
    this.status = status
    this.code = code
  }

  get text(): string {
    return this.message
  }
}

/** The answer to what a command threw. What is none of the families is our defect: it is logged under an id that the client is told. */
export function failureOf(error: unknown, log: Log): Failure {
  if (error instanceof Refusal) return error
  if (error instanceof MailboxNameFault) return { status: 'NO', code: 'CANNOT', text: error.message }
  if (error instanceof SyntaxFault) return { status: 'BAD', code: undefined, text: plainText(error.message) }
  if (error instanceof StoreError) return storeFailure(error.kind, error.message)
  if (error instanceof AuthError) return authFailure(error.kind)
  const incident = randomBytes(6).toString('hex')
  log.log('err', 'command failed by a defect', {
    incident,
    cause: error instanceof Error ? (error.stack ?? error.message) : String(error),
  })
  return { status: 'NO', code: 'SERVERBUG', text: `Internal error, incident ${incident}` }
}

function storeFailure(kind: StoreErrorKind, message: string): Failure {
  const no = (code: string, text: string): Failure => ({ status: 'NO', code, text })
  switch (kind) {
    case 'not-found':
      return no('NONEXISTENT', 'No such mailbox')
    case 'already-exists':
      return no('ALREADYEXISTS', 'Mailbox exists already')
    case 'over-quota':
      return no('OVERQUOTA', 'Quota exceeded')
    case 'in-use':
      return no('INUSE', 'In use by somebody else, try again later')
    case 'expunged':
      return no('EXPUNGEISSUED', 'Some of the messages no longer exist')
    case 'too-big':
      return no('TOOBIG', 'Message is too big')
    case 'no-permission':
      return no('NOPERM', plainText(message))
    case 'limit':
      return no('LIMIT', plainText(message))
    case 'invalid':
      return no('CANNOT', plainText(message))
    case 'damaged':
      return no('CORRUPTION', 'Some of the messages are damaged and were left out')
    case 'away':
      return no('UNAVAILABLE', 'Messages are still at the old server, which does not give them now; try again later')
    case 'unavailable':
      return no('UNAVAILABLE', 'The message store does not answer properly, try again later')
  }
}

function authFailure(kind: AuthErrorKind): Failure {
  const no = (code: string, text: string): Failure => ({ status: 'NO', code, text })
  switch (kind) {
    case 'bad-credentials':
      return no('AUTHENTICATIONFAILED', 'Unknown user or wrong password')
    case 'denied':
      return no('AUTHORIZATIONFAILED', 'This user may not use IMAP here')
    case 'unavailable':
      return no('UNAVAILABLE', 'The password cannot be checked now, try again later')
    case 'login-delay':
      return no('LIMIT', 'The mail server behind asks for a longer pause between logins, try again later')
    case 'in-use':
      return no('INUSE', 'The mailbox at the mail server behind is locked by another session, try again later')
    case 'privacy-required':
      return no('PRIVACYREQUIRED', 'A password is taken over TLS only: use STARTTLS first')
    case 'no-mechanism':
      return no('CANNOT', 'Mechanism is not available')
  }
}

/** Another room's words, made fit for a response and not endless. */
const plainText = (text: string) => sanitiseText(text.slice(0, 400))
