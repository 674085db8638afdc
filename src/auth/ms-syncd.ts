/** What ms_syncd is asked and told about logins, over the event bus. */
import { AuthError, type AuthErrorKind } from '../base/errors.ts'
import type { UserId } from '../base/ids.ts'
import type { Log } from '../base/log.ts'
import { badCredentials } from './refusals.ts'
import type { LoginPlace, LoginRequest, Passage } from './types.ts'

/** `ask` of the event bus (src/events/types.ts). */
export type AskService = (
  service: string,
  request: AuthenticateRequest | AdmittedRequest | MigrateRequest,
  options: { readonly secret?: true; readonly timeoutMs: number; readonly signal: AbortSignal },
) => Promise<unknown>

/** What ms_syncd is asked. It answers an AuthenticateAnswer. */
export type AuthenticateRequest = {
  readonly type: 'authenticate'
  /** As the client sent it. */
  readonly user: string
  /** Canonical. */
  readonly userId: string
  /** Base64 of the octets. */
  readonly password: string
  readonly service: LoginRequest['service']
  readonly remoteAddress: string
}
/** ms_syncd is told that an account let a user in. It answers an AdmittedAnswer or a refusal. */
export type AdmittedRequest = {
  readonly type: 'admitted'
  readonly user: string
  readonly userId: string
  /** Only when it was needed. */
  readonly password?: string
}
/** MIG-08: ms_syncd is to pull all mail of a user. It answers a MigrateAnswer or a refusal. */
export type MigrateRequest = Pick<AuthenticateRequest, 'user' | 'userId'> & {
  readonly type: 'migrate'
  /** Absent: the record of the user names a master user, or a source of tokens. */
  readonly password?: string
  /** Of the account that ms_syncd is to make, or to enable; absent: whoever asks does. */
  readonly properties?: readonly (readonly [name: string, value: string])[]
  /** Mailboxes get a UIDVALIDITY of their own: what was here before is removed. */
  readonly renumbered?: true
}
/** Messages at the old servers, those of them that are here, and those that they don't give. */
export type MigrateAnswer = {
  readonly ok: true
  readonly userId: string
  readonly listed: number
  readonly here: number
  readonly notGiven: number
}
/** `passwordNeeded`: a backend of the user has no password of its own. Nothing was done: tell it again with the password. */
export type AdmittedAnswer = { readonly ok: true; readonly userId: string; readonly passwordNeeded: boolean }
export type AuthenticateAnswer =
  /** `passage`: for imap and pop, the mail of the user is at the old server still. */
  | { readonly ok: true; readonly userId: string; readonly passage?: Passage }
  /** `reason` is for whoever runs the server. */
  | { readonly ok: false; readonly kind: AuthErrorKind; readonly text: string; readonly reason?: string }

/** Answers where the session goes on, when that is not here. Throws AuthError, the backend's or unavailable. */
export const askMsSyncd = async (
  ask: AskService,
  { user, password, service, remoteAddress, signal }: LoginRequest,
  userId: UserId,
  timeoutMs: number,
): Promise<Passage | undefined> => {
  let answer: unknown
  try {
    answer = await ask(
      'ms_sync',
      { type: 'authenticate', user, userId, password: password.toString('base64'), service, remoteAddress },
      { secret: true, timeoutMs, signal },
    )
  } catch (cause) {
    throw new AuthError('unavailable', 'the mail gateway can not be asked now', { cause })
  }
  const refusal = readAnswer(answer)
  if (refusal !== undefined) throw refusal
  return (answer as AuthenticateAnswer & { readonly ok: true }).passage
}

/** Resolves when the mail is here. Throws AuthError: refused, with the reason for an operator as its cause. */
export const askToMigrate = async (
  ask: AskService,
  request: Pick<LoginRequest, 'user' | 'signal'> & {
    readonly userId: UserId
    readonly password: Buffer | undefined
    readonly properties: MigrateRequest['properties']
    readonly renumbered: boolean
  },
  timeoutMs: number,
): Promise<MigrateAnswer> => {
  const { user, userId, password, properties, renumbered, signal } = request
  const asked = {
    type: 'migrate',
    user,
    userId,
    ...(password === undefined ? {} : { password: password.toString('base64') }),
    ...(properties === undefined ? {} : { properties }),
    ...(renumbered ? { renumbered } : {}),
  } as const
  const answer = await ask('ms_sync', asked, { secret: true, timeoutMs, signal })
  const refusal = readAnswer(answer)
  if (refusal === undefined) return answer as MigrateAnswer
  const { reason, text } = answer as { reason?: unknown; text: string }
  const why = typeof reason === 'string' ? reason : text
  throw new AuthError(refusal.kind, refusal.message, { cause: new Error(why) })
}

/** Whom an account let in. */
export interface Admitted {
  /** As the client sent it. */
  readonly user: string
  readonly userId: UserId
  /** Undefined where the client did not show the user's own. */
  readonly password: Buffer | undefined
}

/** SYN-01: mail that is here is served whether or not it can be synchronised, so a failure is no refusal. */
export const tellAdmitted = async (
  ask: AskService,
  { user, userId, password }: Admitted,
  timeoutMs: number,
  signal: LoginPlace['signal'],
  log: Log,
): Promise<void> => {
  const told = { type: 'admitted', user, userId } as const
  try {
    const answer = await ask('ms_sync', told, { timeoutMs, signal })
    const refusal = readAnswer(answer)
    if (refusal !== undefined) throw refusal
    if ((answer as AdmittedAnswer).passwordNeeded !== true) return
    if (password === undefined)
      throw new Error('a backend needs the password, which this way of logging in does not show')
    const withPassword = { ...told, password: password.toString('base64') }
    const second = readAnswer(await ask('ms_sync', withPassword, { secret: true, timeoutMs, signal }))
    if (second !== undefined) throw second
  } catch (error) {
    signal.throwIfAborted()
    log.log('warning', 'logged in without a look at the backends', { user: userId, reason: (error as Error).message })
  }
}

const kinds: readonly string[] = [
  'bad-credentials',
  'denied',
  'unavailable',
  'login-delay',
  'in-use',
  'privacy-required',
] satisfies readonly AuthErrorKind[]

/** The refusal in an AuthenticateAnswer; undefined when it says yes. */
const readAnswer = (answer: unknown): AuthError | undefined => {
  const unreadable = () =>
    new AuthError('unavailable', 'the mail gateway can not be asked now', {
      cause: new Error('unreadable answer of ms_syncd'),
    })
  if (typeof answer !== 'object' || answer === null || !('ok' in answer)) return unreadable()
  if (answer.ok === true) return undefined
  if (answer.ok !== false || !('kind' in answer) || !('text' in answer)) return unreadable()
  const { kind, text } = answer
  if (typeof kind !== 'string' || !kinds.includes(kind) || typeof text !== 'string') return unreadable()
  return kind === 'bad-credentials' ? badCredentials(new Error(text)) : new AuthError(kind as AuthErrorKind, text)
}
