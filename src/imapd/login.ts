/** What LOGIN and the mechanisms of AUTHENTICATE have in common. */

import type { Credentials } from '../auth/sasl.ts'
import { AuthError } from '../base/errors.ts'
import type { Completion } from './command.ts'
import type { Session } from './session.ts'

/** Throws AuthError, after a pause when the credentials were wrong. IMAP-08 */
export async function authenticate(
  session: Session,
  { user, password }: Pick<Credentials, 'user' | 'password'>,
): Promise<Completion> {
  if (session.circumstances.loginDisabled) throw new AuthError('privacy-required', 'no TLS')
  const { connection, services } = session
  try {
    const login = await services.authenticator.login({
      service: 'imap',
      user,
      password,
      localAddress: connection.localAddress,
      remoteAddress: connection.remoteAddress,
      signal: connection.signal,
      sessionId: connection.id,
      secure: connection.secure,
    })
    return await session.login(login.userId)
  } catch (error) {
    if (error instanceof AuthError && error.kind === 'bad-credentials') await session.loginRefused()
    throw error
  }
}
