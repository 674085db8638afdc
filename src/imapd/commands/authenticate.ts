/**
 * AUTHENTICATE, RFC 3501 §6.2.2, with SASL-IR (RFC 4959). In gateway mode the backend needs the password itself, and the guide leaves the
 * LOGIN command as the only way. GW-13
 */
import { formatChallenge, readAuthenticateArgs, readAuthenticateResponse } from '../../proto/imap/authenticate.ts'
import { command } from '../command.ts'
import { logIn } from '../login.ts'
import { Refusal } from '../replies.ts'
import type { Session } from '../session.ts'

export const authenticate = command({
  name: 'AUTHENTICATE',
  states: ['not-authenticated'],
  // Where only LOGIN is left there is nothing that an initial response could be given to.
  capabilities: ({ loggedIn, offer: { mechanisms } }) => [
    ...(mechanisms.length === 0 ? [] : ['SASL-IR']),
    ...(loggedIn ? [] : mechanisms.map((name) => `AUTH=${name}`)),
  ],
  parse: readAuthenticateArgs,
  async run(session, { mechanism, initialResponse: initial }) {
    const { connection, services } = session
    if (session.circumstances.gatewayMode)
      throw new Refusal('NO', 'CANNOT', 'AUTHENTICATE is not available in gateway mode, use LOGIN')
    const { channel } = connection
    const ask = (challenge: Buffer) => askClient(session, challenge)
    return logIn(session, (place) =>
      services.authenticator.authenticate({ ...place, mechanism, initial, ask, channel }),
    )
  },
})

async function askClient(session: Session, challenge: Buffer): Promise<Buffer> {
  session.output.write(formatChallenge(challenge))
  const response = readAuthenticateResponse(await session.input.line())
  if (response === 'cancel') throw new Refusal('BAD', undefined, 'AUTHENTICATE was cancelled')
  return response
}
