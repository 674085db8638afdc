/** Who a session is at its backend: the user, proven by a password, or the gateway in the user's place. docs/decisions/0191-who-a-session-is.md */

import { isTokenMethod, type LoginMethod } from '#src/config/backend-record.ts'
import type { Backend, UserBackends } from '#src/config/backends.ts'
import { BackendError } from './errors.ts'
import type { Credentials } from './sasl.ts'

export interface SessionLogin {
  readonly credentials: Credentials
  readonly method: LoginMethod
  /** The backend refused: a token that was kept is not kept any longer, and the answer is whether there may be a better one. */
  refused(): boolean
}

/** Where access tokens of backends come from. */
export interface TokenSource {
  /** Throws BackendError, of kind needs-consent where a person has to act. */
  token(backend: Backend): Promise<{ readonly token: string; refused(): boolean }>
}

/**
 * `password`: the user's own, which the session is to prove: then nobody else's right is used, whatever the record says. Undefined: a
 * session of the gateway itself. Throws BackendError.
 */
export const loginOf = async (
  backend: Backend,
  password: Buffer | undefined,
  tokens: TokenSource | undefined,
): Promise<SessionLogin> => {
  const { user, auth = 'password', service } = backend
  const refused = () => false
  if (password !== undefined) {
    if (isTokenMethod(auth))
      throw new BackendError('unsupported', 'a backend that takes tokens can not tell whether a password is right')
    return { credentials: { user, secret: Buffer.from(password) }, method: auth, refused }
  }
  if (service?.type === 'master') {
    const secret = Buffer.from(service.password)
    const credentials =
      service.separator === undefined
        ? { user: service.user, authzid: user, secret }
        : { user: `${user}${service.separator}${service.user}`, secret }
    return { credentials, method: auth, refused }
  }
  if (service?.type === 'token' && tokens !== undefined) {
    const { token, refused } = await tokens.token(backend)
    return { credentials: { user, secret: Buffer.from(token) }, method: auth, refused }
  }
  throw new BackendError('auth', 'no password for this backend is known: the user has to log in')
}

/**
 * What a session uses that has to prove nothing: the password of the record, the gateway's own right (undefined), else what the user
 * logged in with. The caller overwrites it.
 */
export const pollPassword = ({ password, service }: Backend, loggedInWith: Buffer | undefined): Buffer | undefined =>
  password !== undefined
    ? Buffer.from(password)
    : service !== undefined || loggedInWith === undefined
      ? undefined
      : Buffer.from(loggedInWith)

/** Whether a session is possible while no user is logged in. */
export const pollsAlone = ({ password, service }: Backend): boolean => password !== undefined || service !== undefined

/** With each of the user's backends. */
export const pollsAllAlone = ({ master, extra }: UserBackends): boolean => [master, ...extra].every(pollsAlone)
