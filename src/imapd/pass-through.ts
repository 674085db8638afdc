/** A session that goes on at the old server. docs/decisions/0275-sessions-passed-through.md */
import type { Login } from '../auth/types.ts'
import { capabilityCode } from '../proto/imap/response.ts'
import { carry, enterPassage } from '../server/passage.ts'
import type { Completion } from './command.ts'
import { ResponseBoundary } from './response-boundary.ts'
import type { Session } from './session.ts'

/** What is done with already, what a word of ours in the middle could not be said in (RFC 4978), and logins that would pass us by (RFC 8437 §8). */
const notOffered = /^(?:STARTTLS|LOGINDISABLED|AUTH=.*|SASL-IR|COMPRESS=.*|UNAUTHENTICATE)$/

/** The capabilities are the old server's, and so is every answer from here on. Throws AuthError. */
export const passThrough = async (
  session: Session,
  { userId, passage }: Login & Required<Pick<Login, 'passage'>>,
): Promise<Completion> => {
  const { connection, input, log } = session
  const old = await enterPassage(passage, connection.signal)
  session.passed(userId)
  const capabilities = passage.capabilities.filter((name) => !notOffered.test(name))
  return {
    ...(capabilities.length === 0 ? {} : { code: capabilityCode(capabilities) }),
    text: 'Logged in',
    afterReply: async () => {
      const boundary = new ResponseBoundary()
      const ended = await carry(connection, old, {
        first: input.rest(),
        idleMs: session.services.settings().idleMs,
        onOldSays: (octets) => boundary.push(octets),
        isBetween: () => boundary.isBetween,
      })
      log.log('debug', 'the session at the old server is over', { user: userId, ended })
      if (ended !== 'client' && boundary.isBetween && !boundary.saidBye)
        session.untagged('BYE', ended === 'stopping' ? stopReason(connection.stopping) : 'Please log in again')
      session.logout()
    },
  }
}

const stopReason = ({ reason }: AbortSignal): string => (reason instanceof Error ? reason.message : 'Stopping')
