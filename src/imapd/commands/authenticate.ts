/**
 * AUTHENTICATE, RFC 3501 §6.2.2, with SASL-IR (RFC 4959): the mechanisms PLAIN (RFC 4616) and LOGIN. In gateway mode the
 * backend needs the password itself, and the guide leaves the LOGIN command as the only way. GW-13
 */
import { AuthError, SyntaxFault } from '../../base/errors.ts'
import { formatChallenge, readAuthenticateArgs, readAuthenticateResponse } from '../../proto/imap/authenticate.ts'
import { command } from '../command.ts'
import { authenticate as authenticateUser, type Credentials } from '../login.ts'
import { Refusal } from '../replies.ts'
import type { Session } from '../session.ts'

/** Sends a challenge and answers the client's response to it. */
type Ask = (challenge: string) => Promise<Buffer>

const mechanisms = new Map<string, (ask: Ask, initial: Buffer | undefined) => Promise<Credentials>>([
  ['PLAIN', async (ask, initial) => plainCredentials(initial ?? (await ask('')))],
  [
    'LOGIN',
    async (ask, initial) => {
      const user = (initial ?? (await ask('User Name\0'))).toString('utf8')
      return { user, password: await ask('Password\0') }
    },
  ],
])

export const authenticate = command({
  name: 'AUTHENTICATE',
  states: ['not-authenticated'],
  capabilities: ({ loggedIn, loginDisabled, gatewayMode }) => [
    'SASL-IR',
    ...(loggedIn || loginDisabled || gatewayMode ? [] : [...mechanisms.keys()].map((name) => `AUTH=${name}`)),
  ],
  parse: readAuthenticateArgs,
  async run(session, { mechanism, initialResponse }) {
    const { gatewayMode, loginDisabled } = session.circumstances
    if (gatewayMode) throw new Refusal('NO', 'CANNOT', 'AUTHENTICATE is not available in gateway mode, use LOGIN')
    const exchange = mechanisms.get(mechanism)
    if (exchange === undefined) throw new Refusal('NO', 'CANNOT', 'Mechanism is not available')
    if (loginDisabled) throw new AuthError('privacy-required', 'no TLS')
    return authenticateUser(session, await exchange((challenge) => ask(session, challenge), initialResponse))
  },
})

async function ask(session: Session, challenge: string): Promise<Buffer> {
  session.output.write(formatChallenge(Buffer.from(challenge, 'latin1')))
  const response = readAuthenticateResponse(await session.input.line())
  if (response === 'cancel') throw new Refusal('BAD', undefined, 'AUTHENTICATE was cancelled')
  return response
}

/** [authzid] NUL authcid NUL passwd. RFC 4616 §2 */
function plainCredentials(response: Buffer): Credentials {
  const first = response.indexOf(0)
  const second = response.indexOf(0, first + 1)
  if (first < 0 || second < 0 || response.indexOf(0, second + 1) >= 0)
    throw new SyntaxFault('PLAIN: expected authzid, NUL, authcid, NUL, password', 'message')
  const authzid = response.toString('utf8', 0, first)
  const user = response.toString('utf8', first + 1, second)
  if (authzid !== '' && authzid !== user)
    throw new Refusal('NO', 'AUTHORIZATIONFAILED', 'Acting for another user is not allowed')
  return { user, password: response.subarray(second + 1) }
}
