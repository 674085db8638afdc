/** MAIL FROM. RFC 5321 §4.1.1.2; SIZE: RFC 1870; BODY: RFC 6152, RFC 3030; SMTPUTF8: RFC 6531; RET, ENVID: RFC 3461; AUTH: RFC 4954 §5 */
import { randomBytes } from 'node:crypto'
import { parseEnvelope } from '../../proto/lmtp/command.ts'
import { checkMailParameters } from '../../proto/lmtp/parameters.ts'
import type { Command } from '../command.ts'
import { Mail } from '../mail.ts'
import { Refusal } from '../replies.ts'
import { mustBeGreeted } from '../session.ts'
import { traceOf } from '../trace.ts'

/** In Received, in the log and in replies: 13 letters and digits. */
const newId = (): string =>
  BigInt(`0x${randomBytes(8).toString('hex')}`)
    .toString(36)
    .toUpperCase()
    .padStart(13, '0')

export const mail: Command = {
  keyword: 'MAIL',
  async run(session, argument) {
    mustBeGreeted(session)
    if (session.mail !== undefined) throw new Refusal(503, '5.5.1', 'a transaction is open: RSET ends it')
    const { address, parameters } = parseEnvelope('FROM', argument)
    checkMailParameters(parameters)
    const text = address?.text ?? ''
    mustBeAscii(text, parameters.has('SMTPUTF8'))
    const { maxMessageOctets } = session.settings
    if (Number(parameters.get('SIZE') ?? 0) > maxMessageOctets)
      throw new Refusal(552, '5.3.4', `a message may have ${maxMessageOctets} octets`)
    const receivedAt = Math.floor(session.services.clock.now() / 1000)
    const trace = traceOf(session, parameters.has('SMTPUTF8'))
    await session.begin(new Mail({ id: newId(), sender: text, parameters, trace, receivedAt }))
    return { code: 250, status: '2.1.0', text: `sender <${text}> ok` }
  },
}

/** Throws Refusal. RFC 6531 §3.5 */
export function mustBeAscii(address: string, isUtf8: boolean): void {
  if (!isUtf8 && /[^\x20-\x7e]/.test(address))
    throw new Refusal(553, '5.6.7', 'an address that is not ASCII needs the parameter SMTPUTF8 of MAIL')
}
