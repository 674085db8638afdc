/** RSET. RFC 5321 §4.1.1.5 */
import { noArgument } from '../../proto/lmtp/command.ts'
import type { Command } from '../command.ts'

export const rset: Command = {
  keyword: 'RSET',
  async run(session, argument) {
    noArgument(argument)
    await session.begin(undefined)
    return { code: 250, status: '2.0.0', text: 'forgotten' }
  },
}
