/**
 * AUTHENTICATE mechanism [initial-response]. RFC 5804 §2.1. What the server says last is a challenge that the client answers with nothing, and no response code:
 * all clients know that.
 */
import { AuthError, SyntaxFault } from '../../base/errors.ts'
import { Arguments } from '../../proto/managesieve/arguments.ts'
import { formatChallenge } from '../../proto/managesieve/response.ts'
import type { Command } from '../command.ts'
import { Refusal } from '../replies.ts'
import type { Session } from '../session.ts'

export const authenticate: Command = {
  word: 'AUTHENTICATE',
  states: ['stranger'],
  async run(session, args) {
    const mechanism = args.string('a mechanism').toString('latin1').toUpperCase()
    const initial = args.isAtEnd ? undefined : decodeBase64(args.string('the initial response'))
    args.end()
    const { connection, services } = session
    try {
      const login = await services.authenticator.authenticate({
        service: 'sieve',
        localAddress: connection.localAddress,
        remoteAddress: connection.remoteAddress,
        sessionId: connection.id,
        secure: connection.channel !== undefined,
        signal: connection.signal,
        mechanism,
        initial,
        ask: (challenge) => askClient(session, challenge),
        channel: connection.channel,
      })
      await session.login(login)
    } catch (error) {
      if (error instanceof AuthError && error.kind === 'bad-credentials') await session.loginRefused()
      throw error
    }
    return { text: 'logged in' }
  },
}

async function askClient(session: Session, challenge: Buffer): Promise<Buffer> {
  session.output.write(formatChallenge(challenge))
  const args = new Arguments(await session.input.line())
  const response = args.string('a response')
  args.end()
  if (response.toString('latin1') === '*') throw new Refusal('AUTHENTICATE was cancelled')
  return decodeBase64(response)
}

function decodeBase64(octets: Buffer): Buffer {
  const text = octets.toString('latin1')
  const decoded = Buffer.from(text, 'base64')
  // Node skips what is not base64; only the canonical text comes back equal.
  if (decoded.toString('base64') !== text) throw new SyntaxFault('base64 was expected', 'base64')
  return decoded
}
