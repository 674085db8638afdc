/** RCPT TO. RFC 5321 §4.1.1.3; NOTIFY, ORCPT: RFC 3461. Who it is, and whether there is room, is decided here, so that few messages are refused when they are there. */
import { SyntaxFault } from '../../base/errors.ts'
import { parseEnvelope } from '../../proto/lmtp/command.ts'
import { checkRecipientParameters } from '../../proto/lmtp/parameters.ts'
import type { Command } from '../command.ts'
import { Refusal } from '../replies.ts'
import { mailOf, mustBeGreeted } from '../session.ts'
import { mustBeAscii } from './mail.ts'

/** Of a transaction. RFC 5321 §4.5.3.1.8 asks for 100; mail servers send the others in another one. */
const maxRecipients = 1_000

export const rcpt: Command = {
  keyword: 'RCPT',
  async run(session, argument) {
    mustBeGreeted(session)
    const mail = mailOf(session)
    if (mail.hasBegun) throw new Refusal(503, '5.5.1', 'the message has begun')
    if (mail.accepted.length >= maxRecipients)
      throw new Refusal(
        452,
        '4.5.3',
        `a transaction may have ${maxRecipients} recipients; send to the others in another one`,
      )
    const { address, parameters } = parseEnvelope('TO', argument)
    if (address === undefined) throw new SyntaxFault('a recipient has an address', 'TO path')
    checkRecipientParameters(parameters)
    mustBeAscii(address.text, mail.isUtf8)
    const { recipients } = session.services
    const size = mail.begun.parameters.get('SIZE')
    const recipient = await recipients.resolve({
      address: address.text,
      local: address.local,
      domain: address.domain ?? recipients.defaultDomain(session.connection.localAddress),
      parameters,
      sizeOctets: size === undefined ? undefined : Number(size),
      user: session.user,
    })
    mail.accept(address.text, recipient)
    return { code: 250, status: '2.1.5', text: `recipient <${address.text}> ok` }
  },
}
