/**
 * AUTHENTICATE, RFC 3501 §6.2.2, with SASL-IR (RFC 4959): the mechanisms PLAIN (RFC 4616) and LOGIN. In gateway mode the
 * backend needs the password itself, and the guide leaves the LOGIN command as the only way. GW-13
 */
import { mechanisms } from '../../auth/sasl.ts'
import { AuthError } from '../../base/errors.ts'
import { formatChallenge, readAuthenticateArgs, readAuthenticateResponse } from '../../proto/imap/authenticate.ts'
import { command } from '../command.ts'
import { authenticate as authenticateUser } from '../login.ts'
import { Refusal } from '../replies.ts'
import type { Session } from '../session.ts'

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
    const credentials = await exchange((challenge) => ask(session, challenge), initialResponse)
    if (credentials.authzid !== undefined)
      throw new Refusal('NO', 'AUTHORIZATIONFAILED', 'Acting for another user is not allowed')
    return authenticateUser(session, credentials)
  },
})

async function ask(session: Session, challenge: Buffer): Promise<Buffer> {
  session.output.write(formatChallenge(challenge))
  const response = readAuthenticateResponse(await session.input.line())
  if (response === 'cancel') throw new Refusal('BAD', undefined, 'AUTHENTICATE was cancelled')
  return response
}
