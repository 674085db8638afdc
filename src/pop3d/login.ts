/** What PASS and AUTH have in common. */
import type { Login, LoginPlace } from '../auth/types.ts'
import { AuthError } from '../base/errors.ts'
import type { Session } from './session.ts'

/**
 * Answers the text behind +OK; undefined: all is said, by the old server. Throws what `decide` throws, after a pause when it was AuthError bad-credentials; StoreError; Refusal.
 * POP-04
 */
export async function logIn(
  session: Session,
  decide: (place: LoginPlace) => Promise<Login>,
): Promise<string | undefined> {
  const { connection } = session
  try {
    const { userId, passage } = await decide({
      service: 'pop',
      localAddress: connection.localAddress,
      remoteAddress: connection.remoteAddress,
      sessionId: connection.id,
      secure: connection.channel !== undefined,
      signal: connection.signal,
    })
    return await (passage === undefined ? session.login(userId) : session.pass({ userId, passage }))
  } catch (error) {
    if (error instanceof AuthError && error.kind === 'bad-credentials') await session.loginRefused()
    throw error
  }
}

/** Throws AuthError when a password must not be sent now. POP-04 */
export function mustBeSecure(session: Session): void {
  if (!session.circumstances.offer.passwords) throw new AuthError('privacy-required', 'no TLS')
}
