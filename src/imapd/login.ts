/** What LOGIN and AUTHENTICATE have in common. */

import type { Login, LoginPlace } from '../auth/types.ts'
import { AuthError } from '../base/errors.ts'
import type { Completion } from './command.ts'
import { passThrough } from './pass-through.ts'
import type { Session } from './session.ts'

/** Throws what `decide` throws, after a pause when it was AuthError bad-credentials. IMAP-08 */
export async function logIn(session: Session, decide: (place: LoginPlace) => Promise<Login>): Promise<Completion> {
  const { connection } = session
  try {
    const login = await decide({
      service: 'imap',
      localAddress: connection.localAddress,
      remoteAddress: connection.remoteAddress,
      signal: connection.signal,
      sessionId: connection.id,
      secure: connection.channel !== undefined,
    })
    const { userId, passage } = login
    return await (passage === undefined ? session.login(login) : passThrough(session, { userId, passage }))
  } catch (error) {
    if (error instanceof AuthError && error.kind === 'bad-credentials') await session.loginRefused()
    throw error
  }
}
