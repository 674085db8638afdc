/** What PASS and the mechanisms of AUTH have in common. */
import { AuthError } from '../base/errors.ts'
import type { Session } from './session.ts'

/** Answers the text behind +OK. Throws AuthError, after a pause when the credentials were wrong; StoreError; Refusal. POP-04 */
export async function login(session: Session, user: string, password: Buffer): Promise<string> {
  const { connection, services } = session
  try {
    const { userId } = await services.authenticator.login({
      service: 'pop',
      user,
      password,
      localAddress: connection.localAddress,
      remoteAddress: connection.remoteAddress,
      sessionId: connection.id,
      secure: connection.secure,
      signal: connection.signal,
    })
    return await session.login(userId)
  } catch (error) {
    if (error instanceof AuthError && error.kind === 'bad-credentials') await session.loginRefused()
    throw error
  }
}

/** Throws AuthError when a password must not be sent now. POP-04 */
export function mustBeSecure(session: Session): void {
  if (session.circumstances.loginDisabled) throw new AuthError('privacy-required', 'no TLS')
}
