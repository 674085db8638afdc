/** The words for refusals. */
import { AuthError } from '../base/errors.ts'

/** For every refusal that could tell whether a user exists. The cause is for the log. */
export const badCredentials = (cause?: unknown) =>
  new AuthError('bad-credentials', 'wrong user name or password', { cause })

export const denied = (service: string) => new AuthError('denied', `this user may not use ${service}`)
