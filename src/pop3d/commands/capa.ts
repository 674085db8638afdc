/** CAPA. RFC 2449 §5: what the rows bring in the circumstances, and what holds for the server. */
import { noArgument } from '../../proto/pop3/command.ts'
import { ok, terminator } from '../../proto/pop3/response.ts'
import type { Command } from '../command.ts'
import { commands } from './index.ts'

export const capa: Command = {
  keyword: 'CAPA',
  states: ['authorization', 'transaction'],
  async run(session, argument) {
    noArgument(argument)
    const { circumstances } = session
    const { loginDelaySeconds } = session.services.settings()
    const lines = [
      ...[...commands.values()].flatMap((row) => row.capabilities?.(circumstances) ?? []),
      'PIPELINING',
      'RESP-CODES',
      'AUTH-RESP-CODE',
      'EXPIRE NEVER',
      ...(loginDelaySeconds > 0 ? [`LOGIN-DELAY ${loginDelaySeconds}`] : []),
      // What runs here is nobody's business before the login. RFC 2449 §6.9
      ...(circumstances.state === 'transaction' ? ['IMPLEMENTATION Wherry'] : []),
    ]
    session.output.write(ok('capability list follows'))
    for (const line of lines) session.output.write(`${line}\r\n`)
    session.output.write(terminator)
    return undefined
  },
}
