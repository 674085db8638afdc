/** QUIT. RFC 5321 §4.1.1.10 */
import { noArgument } from '../../proto/lmtp/command.ts'
import type { Command } from '../command.ts'

export const quit: Command = {
  keyword: 'QUIT',
  async run(session, argument) {
    noArgument(argument)
    session.end()
    return { code: 221, status: '2.0.0', text: `${session.settings.host} closes` }
  },
}
