/**
 * AUTH mechanism [initial-response]. RFC 5034. In gateway mode the guide leaves USER and PASS as the only way, as it does with LOGIN in
 * imapd. GW-13
 */
import { SyntaxFault } from '../../base/errors.ts'
import { words } from '../../proto/pop3/command.ts'
import { challenge, ok, terminator } from '../../proto/pop3/response.ts'
import type { Command } from '../command.ts'
import { logIn } from '../login.ts'
import { Refusal } from '../replies.ts'
import type { Session } from '../session.ts'

export const auth: Command = {
  keyword: 'AUTH',
  states: ['authorization'],
  capabilities: ({ state, offer: { mechanisms } }) =>
    state === 'authorization' && mechanisms.length > 0 ? [`SASL ${mechanisms.join(' ')}`] : [],
  async run(session, argument) {
    const [name, first] = words(argument, 0, 2)
    const { connection, services, circumstances } = session
    if (circumstances.gatewayMode) throw new Refusal('AUTH is not available in gateway mode, use USER and PASS')
    if (name === undefined) {
      // Of no RFC, but what clients ask that don't know CAPA.
      session.output.write(ok('mechanisms follow'))
      for (const name of circumstances.offer.mechanisms) session.output.write(`${name}\r\n`)
      session.output.write(terminator)
      return undefined
    }
    const mechanism = name.toUpperCase()
    const initial = first === undefined ? undefined : initialResponse(first)
    const ask = (text: Buffer) => askClient(session, text)
    const { channel } = connection
    return logIn(session, (place) =>
      services.authenticator.authenticate({ ...place, mechanism, initial, ask, channel }),
    )
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
