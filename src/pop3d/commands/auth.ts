/**
 * AUTH mechanism [initial-response]. RFC 5034 with the mechanisms PLAIN (RFC 4616) and LOGIN. In gateway mode the guide leaves
 * USER and PASS as the only way, as it does with LOGIN in imapd. GW-13
 */
import { mechanisms } from '../../auth/sasl.ts'
import { SyntaxFault } from '../../base/errors.ts'
import { words } from '../../proto/pop3/command.ts'
import { challenge, ok, terminator } from '../../proto/pop3/response.ts'
import type { Command } from '../command.ts'
import { login, mustBeSecure } from '../login.ts'
import { Refusal } from '../replies.ts'
import type { Session } from '../session.ts'

export const auth: Command = {
  keyword: 'AUTH',
  states: ['authorization'],
  capabilities: ({ state, loginDisabled, gatewayMode }) =>
    state === 'authorization' && !loginDisabled && !gatewayMode ? [`SASL ${[...mechanisms.keys()].join(' ')}`] : [],
  async run(session, argument) {
    const [mechanism, initial] = words(argument, 0, 2)
    if (session.circumstances.gatewayMode) throw new Refusal('AUTH is not available in gateway mode, use USER and PASS')
    if (mechanism === undefined) {
      // Of no RFC, but what clients ask that don't know CAPA.
      mustBeSecure(session)
      session.output.write(ok('mechanisms follow'))
      for (const name of mechanisms.keys()) session.output.write(`${name}\r\n`)
      session.output.write(terminator)
      return undefined
    }
    const exchange = mechanisms.get(mechanism.toUpperCase())
    if (!exchange) throw new Refusal('the mechanism is not available')
    mustBeSecure(session)
    const ask = (text: Buffer) => askClient(session, text)
    const { user, password, authzid } = await exchange(
      ask,
      initial === undefined ? undefined : initialResponse(initial),
    )
    if (authzid !== undefined) throw new Refusal('acting for another user is not allowed', 'AUTH')
    if (user === '' || password.length === 0) throw new SyntaxFault('user and password are needed', 'message')
    return login(session, user, password)
  },
}

async function askClient(session: Session, text: Buffer): Promise<Buffer> {
  session.output.write(challenge(text))
  const response = (await session.input.line()).toString('latin1')
  if (response === '*') throw new Refusal('AUTH was cancelled')
  return decodeBase64(response)
}

/** "=" stands for an empty one. RFC 5034 §4 */
const initialResponse = (text: string): Buffer => (text === '=' ? Buffer.alloc(0) : decodeBase64(text))

function decodeBase64(text: string): Buffer {
  const octets = Buffer.from(text, 'base64')
  // Node skips what is not base64; only the canonical text comes back equal.
  if (octets.toString('base64') !== text) throw new SyntaxFault('base64 was expected', 'base64')
  return octets
}
