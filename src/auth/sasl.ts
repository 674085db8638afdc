/** The server's side of the SASL mechanisms PLAIN (RFC 4616) and LOGIN (draft-murchison-sasl-login), whatever protocol carries them. */
import { SyntaxFault } from '../base/errors.ts'

/** What a client proved itself with; not checked yet. */
export interface Credentials {
  /** Who proves: the authcid. */
  readonly user: string
  readonly password: Buffer
  /** Whom the client wants to act as, where that is somebody else than `user`. */
  readonly authzid: string | undefined
}

/** Sends a challenge and answers the client's response to it. */
export type Ask = (challenge: Buffer) => Promise<Buffer>

/** Runs to the client's last response. `initial`: the response that came with the command. Throws SyntaxFault. */
export type Exchange = (ask: Ask, initial: Buffer | undefined) => Promise<Credentials>

const none = Buffer.alloc(0)

/** By name, in the order in which they are offered. */
export const mechanisms: ReadonlyMap<string, Exchange> = new Map<string, Exchange>([
  ['PLAIN', async (ask, initial) => plainCredentials(initial ?? (await ask(none)))],
  [
    'LOGIN',
    async (ask, initial) => {
      const user = (initial ?? (await ask(Buffer.from('User Name\0')))).toString('utf8')
      return { user, password: await ask(Buffer.from('Password\0')), authzid: undefined }
    },
  ],
])

/** [authzid] NUL authcid NUL passwd. RFC 4616 §2 */
function plainCredentials(response: Buffer): Credentials {
  const first = response.indexOf(0)
  const second = response.indexOf(0, first + 1)
  if (first < 0 || second < 0 || response.indexOf(0, second + 1) >= 0)
    throw new SyntaxFault('PLAIN: expected authzid, NUL, authcid, NUL, password', 'message')
  const authzid = response.toString('utf8', 0, first)
  const user = response.toString('utf8', first + 1, second)
  return {
    user,
    password: response.subarray(second + 1),
    authzid: authzid === '' || authzid === user ? undefined : authzid,
  }
}
