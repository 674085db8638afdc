/** AUTH mechanism [initial-response]. RFC 4954. For mail servers that come by TCP; whoever connects to the Unix socket is believed already. */
import { SyntaxFault } from '../../base/errors.ts'
import type { Command } from '../command.ts'
import { Refusal } from '../replies.ts'
import type { Session } from '../session.ts'

const mechanismsFor = ({ connection, services }: Session): readonly string[] =>
  connection.isLocal ? [] : services.authenticator.offer(connection.channel).mechanisms

export const auth: Command = {
  keyword: 'AUTH',
  extensions: (session) => {
    const mechanisms = mechanismsFor(session)
    return mechanisms.length > 0 ? [`AUTH ${mechanisms.join(' ')}`] : []
  },
  async run(session, argument) {
    const { connection, services, user, mail, helo } = session
    if (helo === undefined) throw new Refusal(503, '5.5.1', 'LHLO comes first')
    if (user !== undefined) throw new Refusal(503, '5.5.1', 'already logged in')
    if (mail !== undefined) throw new Refusal(503, '5.5.1', 'not within a transaction')
    const [name = '', first, ...more] = argument.split(' ').filter((word) => word !== '')
    if (name === '' || more.length > 0) throw new SyntaxFault('AUTH takes a mechanism and a response', 'argument')
    const { localAddress, remoteAddress, channel, signal } = connection
    const request = {
      service: 'lmtp',
      localAddress,
      remoteAddress,
      sessionId: connection.id,
      secure: channel !== undefined,
      signal,
      mechanism: name.toUpperCase(),
      initial: first === undefined ? undefined : initialResponse(first),
      ask: (text: Buffer) => askClient(session, text),
      channel,
    } as const
    await session.login(() => services.authenticator.authenticate(request))
    return { code: 235, status: '2.7.0', text: 'logged in' }
  },
}

async function askClient(session: Session, text: Buffer): Promise<Buffer> {
  session.reply({ code: 334, text: text.toString('base64') })
  const response = (await session.input.line()).toString('latin1')
  if (response === '*') throw new Refusal(501, '5.7.0', 'AUTH was cancelled')
  return decodeBase64(response)
}

/** "=" stands for an empty one. RFC 4954 §4 */
const initialResponse = (text: string): Buffer => (text === '=' ? Buffer.alloc(0) : decodeBase64(text))

function decodeBase64(text: string): Buffer {
  const octets = Buffer.from(text, 'base64')
  // Node skips what is not base64; only the canonical text comes back equal.
  if (octets.toString('base64') !== text) throw new SyntaxFault('base64 was expected', 'base64')
  return octets
}
